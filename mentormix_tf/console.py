"""How a command, or a child process of one, shows its progress and ends."""

import logging
import os
import signal
import sys
from collections.abc import Callable

from tqdm import tqdm

from mentormix_tf.errors import BackendError, InputError, Preempted


def show_log() -> None:
    """Prints what the package logs: progress to stdout, warnings to stderr."""
    log = logging.getLogger("mentormix_tf")
    if not any(isinstance(handler, _Console) for handler in log.handlers):
        log.addHandler(_Console())
        log.setLevel(logging.INFO)
        log.propagate = False


def exit_status(action: Callable[[], int | None]) -> int:
    """Runs an action to its end, and says in a sentence what went wrong for the user's part.

    Args:
        action: what to do; it may return a status of its own.

    Returns:
        0 if all went well; 1 for an `InputError`, whose sentence is printed without a traceback;
        130 for an interrupt; 143, as of any process that SIGTERM has ended, for a run that has
        saved its state and can be started again.
    """
    try:
        return action() or 0
    except (InputError, BackendError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Preempted as stop:
        print(stop, file=sys.stderr)
        return 128 + signal.SIGTERM
    except BrokenPipeError:  # as when `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


class _Console(logging.Handler):
    """Writes messages without breaking a progress bar."""

    def emit(self, record):
        is_warning = record.levelno >= logging.WARNING
        text = record.getMessage()
        prefix = f"{record.levelname.lower()}: " if is_warning else ""
        # tqdm.write looks up sys.stdout when it is called, as print does.
        tqdm.write(prefix + text, file=sys.stderr if is_warning else sys.stdout)
        (sys.stderr if is_warning else sys.stdout).flush()

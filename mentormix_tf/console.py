"""Prints the progress of a command or its child process, and turns errors into exit statuses."""

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping

from tqdm import tqdm

from mentormix_tf.errors import BackendError, InputError, Preempted

__all__ = ["exit_status", "next_steps", "printable", "waiting"]

_LONGEST = 1500  # characters


def printable(text: str, kept: str = "") -> str:
    """Escapes the characters of a text that a terminal would obey instead of showing.

    Names of files and classes may come from elsewhere and have escape sequences, line breaks or
    marks that turn the direction of writing.

    Args:
        text: any text.
        kept: characters that are not escaped.
    """
    return "".join(
        character if character.isprintable() or character in kept else ascii(character)[1:-1]
        for character in text
    )


def exit_status(action: Callable[[], int | None]) -> int:
    """Runs an action, prints its log, and prints a user's mistake as one sentence.

    Of the package's log, progress goes to stdout and warnings to stderr.

    Args:
        action: the action; it may return a status of its own.

    Returns:
        The action's status, by default 0; 1 for an `InputError` or a `BackendError`; 130 for an
        interrupt; 143, as for any process ended by SIGTERM, for a run that has saved its state and
        can be resumed.
    """
    try:
        with _shown_log():
            return action() or 0
    except (InputError, BackendError) as error:
        print(f"error: {_shortened(printable(str(error)))}", file=sys.stderr)
        return 1
    except Preempted as stop:
        print(stop, file=sys.stderr)
        return 128 + signal.SIGTERM
    except BrokenPipeError:  # as in `| head`, which ends early
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def next_steps(steps: Mapping[str, str]) -> str:
    """Says what a user may do next, at the end of a command.

    Args:
        steps: what each does, by the command line that does it.
    """
    width = max(map(len, steps))
    return "\n".join(["Next:", *(f"  {line:<{width}}  {what}" for line, what in steps.items())])


@contextlib.contextmanager
def waiting(text: str) -> Iterator[None]:
    """Shows on a terminal what the command waits for, as long as it does.

    Args:
        text: what it does meanwhile, such as "Loading TensorFlow".
    """
    is_shown = sys.stderr.isatty()
    if is_shown:
        print(f"{text} ...", end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if is_shown:
            print(f"\r{' ' * (len(text) + 4)}\r", end="", file=sys.stderr, flush=True)


def _shortened(text):
    """Leaves out the middle of a very long text, such as one with a value of a megabyte."""
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST // 2]} [...] {text[-_LONGEST // 2 :]}"


@contextlib.contextmanager
def _shown_log():
    """Lets the package's log be printed for a while, which a caller may have arranged already."""
    log, handler = logging.getLogger("mentormix_tf"), _Console()
    before = log.level, log.propagate
    if any(isinstance(other, _Console) for other in log.handlers):
        yield
        return
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False  # else a handler of the root logger, such as TFDS makes, prints it again
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.propagate = before[1]


class _Console(logging.Handler):
    """Writes messages without breaking a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        is_warning = record.levelno >= logging.WARNING
        text = printable(record.getMessage(), "\n")
        prefix = f"{record.levelname.lower()}: " if is_warning else ""
        # tqdm.write looks up sys.stdout when it is called, as print does.
        tqdm.write(prefix + text, file=sys.stderr if is_warning else sys.stdout)
        (sys.stderr if is_warning else sys.stdout).flush()

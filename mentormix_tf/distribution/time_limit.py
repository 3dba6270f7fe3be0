"""A limit on the time of a call that can't be interrupted."""

import contextlib
import faulthandler
import subprocess
from collections.abc import Iterator

__all__ = ["time_limit"]


@contextlib.contextmanager
def time_limit(seconds: int, sentence: str) -> Iterator[None]:
    """A context that ends the process with status 1 and a sentence if its body takes too long.

    It also does so if the body keeps Python's other threads and signal handlers from running, as
    TensorFlow does while it waits for other workers.

    Args:
        seconds: the limit.
        sentence: what to print to stderr as an error.
    """
    # faulthandler has a thread that needs no Python, but can write only a traceback. A shell takes
    # that, and prints the sentence instead.
    script = 'read -r line && printf "%s\\n" "$0" >&2'
    shell = subprocess.Popen(["sh", "-c", script, f"error: {sentence}"], stdin=subprocess.PIPE)
    with shell:
        assert shell.stdin is not None  # a pipe
        faulthandler.dump_traceback_later(seconds, exit=True, file=shell.stdin)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()

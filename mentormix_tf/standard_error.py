"""Keeps what a process, its libraries in C++ and the processes that it starts print to stderr."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

__all__ = ["kept_in"]


@contextlib.contextmanager
def kept_in(kept: BinaryIO) -> Iterator[None]:
    """A context at whose end a file has what was printed to stderr meanwhile.

    Args:
        kept: the file, such as an `io.BytesIO`. It gets nothing if stderr is closed.
    """
    try:
        stderr = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            printed.seek(0)
            shutil.copyfileobj(printed, kept)

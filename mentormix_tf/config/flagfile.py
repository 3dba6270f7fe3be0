"""Flagfiles: files with one flag per line, comments, and references to other flagfiles."""

import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from etils import epath

from mentormix_tf import files, shipped
from mentormix_tf.config import codec
from mentormix_tf.errors import InputError

__all__ = ["COMMENTS", "expand", "read", "write"]

COMMENTS = ("#", "//")


def write(values: Mapping[str, Any]) -> str:
    """Returns the text of a flagfile; values that are None are left out.

    Args:
        values: values by flag name.

    Raises:
        InputError: a value has a line break or ends in whitespace.
    """
    texts = {k: codec.serialize(value) for k, value in values.items() if value is not None}
    for name, text in texts.items():
        if "\n" in text or "\r" in text or text != text.rstrip():
            raise InputError(
                f"{name}={text!r} can't be written to a flagfile: it must have no line breaks and "
                "not end in whitespace."
            )
    return "".join(f"--{name}={text}\n" for name, text in texts.items())


def expand(
    words: Iterable[str],
    folder: str | os.PathLike = "",
    opened: tuple[pathlib.Path, ...] = (),
) -> Iterator[str]:
    """Replaces each `--flagfile=PATH` with the flags in that file.

    A relative path is relative to the file that names it (unlike in absl, where it is relative to
    the current folder), or else names a shipped flagfile.

    Args:
        words: words of the command line, or lines of a flagfile.
        folder: folder that relative paths start from; "" for the current one.
        opened: the flagfiles being expanded, to detect one that includes itself.

    Yields:
        The words, with the lines of flagfiles in place of `--flagfile`.

    Raises:
        InputError: a flagfile can't be read, or includes itself.
    """
    words = iter(words)
    for word in words:
        name, _, value = word.partition("=")
        if name not in ("--flagfile", "-flagfile"):
            yield word
            continue
        value = value if "=" in word else next(words, "")
        path = shipped.find(value, folder)
        if path.resolve() in opened:
            raise InputError(f"flagfile={path} includes itself: remove one of the inclusions.")
        yield from expand(read(path), path.parent, (*opened, path.resolve()))


def read(path: pathlib.Path | epath.Path) -> list[str]:
    """Reads the lines of a flagfile, without comments and blank lines.

    Args:
        path: the flagfile, local or remote.

    Raises:
        InputError: the file can't be read.
    """
    try:
        text = files.contents(path).decode("utf-8-sig")  # some editors write a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise InputError(f"flagfile={path} can't be read: {reason}.") from error
    # Not `splitlines`, which also splits at characters that a path may contain.
    lines = [line.strip() for line in text.split("\n")]
    return [line for line in lines if line and not line.startswith(COMMENTS)]

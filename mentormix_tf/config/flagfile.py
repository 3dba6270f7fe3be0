"""Flagfiles: a flag a line, comments, and other flagfiles."""

import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mentormix_tf import shipped
from mentormix_tf.config import codec
from mentormix_tf.errors import InputError

COMMENTS = ("#", "//")


def write(values: Mapping[str, Any]) -> str:
    """The text of a flagfile; what is None is left out.

    Args:
        values: values by the names of their flags.

    Raises:
        InputError: a value that a line can't hold.
    """
    texts = {k: codec.serialize(value) for k, value in values.items() if value is not None}
    for name, text in texts.items():
        if "\n" in text or "\r" in text or text != text.rstrip():
            raise InputError(
                f"{name}={text!r} can't be kept in a flagfile: it must not hold line breaks, nor "
                "end in a blank."
            )
    return "".join(f"--{name}={text}\n" for name, text in texts.items())


def expand(words: Iterable[str], folder: pathlib.Path | str = "", opened: tuple = ()) -> Iterator:
    """Puts in place of each `--flagfile=PATH` the flags that are in the file.

    Relative paths begin at the file that names them (absl's begin at the current folder), or name a
    shipped flagfile.

    Args:
        words: of the command line, or lines of a flagfile.
        folder: where relative paths begin.
        opened: the flagfiles that these words are in.

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
            raise InputError(f"flagfile={path} includes itself: take one of the inclusions out.")
        yield from expand(read(path), path.parent, (*opened, path.resolve()))


def read(path: Any) -> list[str]:
    """The lines of a flagfile that are flags.

    Args:
        path: `pathlib.Path` or `epath.Path`.

    Raises:
        InputError: it can't be read.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")  # some editors begin a file with a mark
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise InputError(f"flagfile={path} can't be read: {reason}.") from error
    # Not `splitlines`, which takes some characters of a path for line breaks.
    lines = [line.strip() for line in text.split("\n")]
    return [line for line in lines if line and not line.startswith(COMMENTS)]

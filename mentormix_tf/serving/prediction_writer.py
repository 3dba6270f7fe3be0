"""Writes the classes of image files as CSV or JSON lines."""

import contextlib
import json
import os
import pathlib
import sys
from collections.abc import Iterable
from typing import TextIO

from mentormix_tf import console, files
from mentormix_tf.errors import InputError
from mentormix_tf.serving.image_files import Row

__all__ = ["open_output", "write"]


def open_output(path: str) -> contextlib.AbstractContextManager[TextIO]:
    """A context manager for the output: a new file, or standard output if `path` is empty.

    Raises:
        InputError: the file exists, or can't be created.
    """
    if not path:
        return contextlib.nullcontext(sys.stdout)
    try:
        return pathlib.Path(files.expanded(path, "output")).open("x", newline="", encoding="utf-8")
    except FileExistsError as error:
        raise InputError(f"output={path} exists: name a new file.") from error
    except OSError as error:
        raise InputError(f"output={path} can't be written: {error.strerror}.") from error


def write(rows: Iterable[Row], file: TextIO, format: str, top_k: int) -> int:
    """Writes a line for each image as soon as it is classified.

    Args:
        rows: results of `image_files.classify`, with `top_k` classes each.
        file: the output.
        format: csv, with a header, or jsonl, with a JSON object on each line.
        top_k: how many classes the CSV header has columns for.

    Returns:
        The number of images that could not be classified.
    """
    if format == "csv":
        further = [f"{kind}_{i}" for i in range(2, top_k + 1) for kind in ("class", "probability")]
        file.write(files.csv_text([["image", "class", "probability", *further, "reason"]]))
    failed = 0
    for row in rows:
        file.write(_csv_line(row, top_k) if format == "csv" else _json_line(row))
        failed += row.reason is not None
    return failed


def _csv_line(row, top_k):
    top = [text for name, value in row.top for text in (console.printable(name), f"{value:.6f}")]
    reason = console.printable(row.reason or "")
    return files.csv_text([[_printable(row.image), *(top or [""] * 2 * top_k), reason]])


def _json_line(row):
    top = [{"class": name, "probability": value} for name, value in row.top]
    facts = {**top[0], "top": top} if top else {"reason": row.reason}
    facts = {"image": os.fsencode(row.image).decode(errors="replace"), **facts}
    line = json.dumps(facts, ensure_ascii=False)
    return (line if line.isprintable() else json.dumps(facts)) + "\n"


def _printable(path):
    """A path as text that a terminal shows, whatever bytes it has in the file system."""
    return console.printable(os.fsencode(path).decode(errors="replace"))

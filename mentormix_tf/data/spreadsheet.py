"""Tables of a person's own, as spreadsheets write them, too."""

import codecs
import contextlib
import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence

from etils import epath

from mentormix_tf import files
from mentormix_tf.errors import InputError, excerpt

__all__ = ["MOST_BYTES", "Row", "contents", "rows", "text"]

MOST_BYTES = 2**30
Row = Mapping[str, str]


def contents(path: epath.PathLike, name: str) -> bytes:
    """Reads a file, unless it is no regular file or larger than any table of a person's.

    Args:
        path: the file.
        name: the flag and its value, for errors.

    Raises:
        InputError: the file can't be read.
    """
    try:
        if os.path.isfile(path) and files.size(path) > MOST_BYTES:
            raise InputError(f"{name} has more than {MOST_BYTES:,} bytes: name a smaller file.")
        return files.contents(path)
    except OSError as error:
        raise InputError(f"{name} can't be read: {files.reason(error)}.") from error


def text(encoded: bytes, name: str) -> str:
    """Decodes a table: UTF-8, or UTF-16 if it begins with the mark of that.

    Args:
        encoded: the contents of the file.
        name: the flag and its value, for errors.

    Raises:
        InputError: it is not such text.
    """
    has_utf16_mark = encoded.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return encoded.decode("utf-16" if has_utf16_mark else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = encoded[: error.start].count(b"\n") + 1
        raise InputError(
            f"{name} is not UTF-8 text in line {line}: save it as 'CSV UTF-8'."
        ) from error


def rows(
    table: str, name: str, required: Sequence[str], optional: Sequence[str] = (), above: int = 0
) -> Iterator[tuple[int, Row]]:
    """Reads the rows of a table, whose columns commas, semicolons or tabs separate.

    Args:
        table: its text, which begins with the header.
        name: the flag and its value, for errors.
        required: names of the columns that it must have.
        optional: names of the columns that it may have; all others are ignored.
        above: number of lines of the file before the header.

    Yields:
        The number of each row's line, and its cells by column; columns that are missing have empty
        cells.

    Raises:
        InputError: a column is missing or there twice, or a row can't be read.
    """
    for delimiter in ",;\t":
        reader = csv.reader(io.StringIO(table, newline=""), delimiter=delimiter, strict=True)
        with contextlib.suppress(csv.Error):
            columns = [cell.strip().casefold() for cell in next(reader, [])]
            if set(required) <= set(columns):
                break
    else:
        header = table.partition("\n")[0].strip()
        missing = [column for column in required if column not in header.casefold()]
        raise InputError(
            f"{name} has no column {[*missing, required[-1]][0]}: it has {excerpt(header)!r}."
        )
    wanted = (*required, *optional)
    for column in wanted:
        if columns.count(column) > 1:
            raise InputError(f"{name} has two columns {column}: remove one.")
    try:
        for cells in reader:
            line = above + reader.line_num
            if not cells:
                continue
            if len(cells) != len(columns):
                raise InputError(
                    f"{name}, line {line}, has {len(cells)} cells instead of {len(columns)}: put "
                    "cells with separators or quotes in quotes."
                )
            row = dict(zip(columns, cells, strict=True))
            yield line, {column: row.get(column, "") for column in wanted}
    except csv.Error as error:
        line = above + reader.line_num
        raise InputError(f"{name}, line {line}, can't be read: {error}.") from error

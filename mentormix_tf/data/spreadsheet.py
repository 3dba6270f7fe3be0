"""Reads CSV files as spreadsheets save them: any usual encoding, delimiter and line end."""

import codecs
import contextlib
import csv
import io
import os
import pathlib
from collections.abc import Mapping, Sequence

from mentormix_tf.errors import InputError, excerpt

__all__ = ["rows", "text"]


def text(path: pathlib.Path, name: str) -> str:
    """Reads a file as text, UTF-8 or UTF-16.

    Args:
        path: the file.
        name: what to call it in errors, such as the flag that names it.

    Raises:
        InputError: it can't be read, is no file, or is not text.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{name} is not a file: name a CSV file.")
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise InputError(f"{name} can't be read: {error.strerror}.") from error
    has_utf16_mark = encoded.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return encoded.decode("utf-16" if has_utf16_mark else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = encoded[: error.start].count(b"\n") + 1
        raise InputError(
            f"{name} is not UTF-8 text in line {line}: save it as 'CSV UTF-8'."
        ) from error


def rows(
    table: str,
    name: str,
    required: Sequence[str],
    optional: Sequence[str] = (),
    first_line: int = 1,
) -> list[tuple[int, Mapping[str, str]]]:
    """Splits the text of a table into rows, which commas, semicolons or tabs may separate.

    Args:
        table: the text, whose first line has the names of the columns, in any case.
        name: what to call the file in errors.
        required: names of columns.
        optional: names of columns that may be missing, and are then empty. Others are ignored.
        first_line: number of the line with the names.

    Returns:
        Each row with the number of its line; rows that are empty are left out.

    Raises:
        InputError: a column is missing or there twice, or a row has more or fewer cells.
    """
    for delimiter in ",;\t":
        reader = csv.reader(io.StringIO(table, newline=""), delimiter=delimiter, strict=True)
        with contextlib.suppress(csv.Error):
            columns = [cell.strip().casefold() for cell in next(reader, [])]
            if set(required) <= set(columns):
                break
    else:
        header = table.partition("\n")[0].strip()
        missing = next((c for c in required if c not in header.casefold()), required[0])
        raise InputError(f"{name} has no column {missing}: it has {excerpt(header)!r}.")
    for column in (*required, *optional):
        if columns.count(column) > 1:
            raise InputError(f"{name} has two columns {column}: remove one.")
    found, before = [], first_line - 1
    try:
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(columns):
                raise InputError(
                    f"{name}, line {reader.line_num + before}, has {len(cells)} cells instead of "
                    f"{len(columns)}: put cells with separators or quotes in quotes."
                )
            row = dict(zip(columns, cells, strict=True))
            row = {column: row.get(column, "") for column in (*required, *optional)}
            found.append((reader.line_num + before, row))
    except csv.Error as error:
        line = reader.line_num + before
        raise InputError(f"{name}, line {line}, can't be read: {error}.") from error
    return found

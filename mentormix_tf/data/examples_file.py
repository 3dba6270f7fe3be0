"""Which training examples count, how much and from when: the file of `--examples_file`."""

import contextlib
import dataclasses
import hashlib
import math
import os
from collections.abc import Iterator, Sequence

import numpy as np

from mentormix_tf import files, npz
from mentormix_tf.data import spreadsheet
from mentormix_tf.data.corrections import split_named_above
from mentormix_tf.errors import InputError, excerpt

__all__ = ["COLUMNS", "ExampleRow", "ExamplesFile", "checked_path", "located", "read"]

COLUMNS = ("id", "weight", "keep", "start")  # all but the id may be missing
_MOST_STARTS = 100
_MOST_BYTES = 2**31  # of a .npz, uncompressed


@dataclasses.dataclass(frozen=True)
class ExampleRow:
    """What a file says of an example.

    Attributes:
        place: where, for errors, such as "line 3".
        example: id of the example, as the file has it.
        weight: what the example's loss is multiplied by, at least 0.
        keep: whether to train on it.
        start: the share of all steps, in [0, 1), from which on to train on it.
    """

    place: str
    example: str
    weight: float
    keep: bool
    start: float


@dataclasses.dataclass(frozen=True)
class ExamplesFile:
    """The contents of a file.

    Attributes:
        name: the flag and the file, for errors.
        sha256: SHA-256 of the file.
        split_sha256: that of the split that the file says it is for; "" if it does not.
        rows: at least one.
    """

    name: str
    sha256: str
    split_sha256: str
    rows: Sequence[ExampleRow]


def checked_path(flag: str) -> str:
    """The file that the flag `--examples_file` names; "" for none.

    Raises:
        InputError: it is not a file.
    """
    path = flag and str(files.expanded(flag, "examples_file"))
    if path and not os.path.isfile(path):
        problem = "is not a file" if os.path.exists(path) else "does not exist"
        raise InputError(f"examples_file={path} {problem}: name a .csv or .npz file.")
    return path


def read(path: str) -> ExamplesFile:
    """Reads a .csv file, as spreadsheets write it, too, or a .npz file.

    Args:
        path: the file. A .csv may begin with the line `# split_sha256=...`, and a .npz may have the
            array split_sha256.

    Raises:
        InputError: the file can't be read, lacks a column, or has a value that can't be used.
    """
    name = f"examples_file={path}"
    encoded = spreadsheet.contents(path, name)
    sha256 = hashlib.sha256(encoded).hexdigest()
    if path.endswith(".npz"):
        split_sha256, found = _arrays(encoded, name)
    else:
        above, table, lines = split_named_above(spreadsheet.text(encoded, name))
        split_sha256, found = above or "", _table(table, lines, name)
    rows = [_row(name, *values) for values in found]
    if not rows:
        raise InputError(f"{name} has no rows: add one for each example that it is about.")
    return ExamplesFile(name, sha256, split_sha256, rows)


def located(
    found: ExamplesFile, split_sha256: str, ids: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds the examples that a file is about.

    Args:
        found: the contents of the file.
        split_sha256: that of the split.
        ids: n ids of the training examples.

    Returns:
        `[n]`, float32, the weight of each; `[n]`, bool, whether to train on it; and `[n]`, float64,
        in [0, 1), the share of all steps from which on.

    Raises:
        InputError: the file is for another split, has an unknown id or one twice, has too many
            different starts, or leaves nothing to train on, or nothing at first.
    """
    if found.split_sha256 not in ("", split_sha256):
        raise InputError(
            f"{found.name} is for the split {found.split_sha256[:8]}, but the other flags name the "
            f"split {split_sha256[:8]}: give the flags of that split, or a file for this one."
        )
    weights, kept = np.ones(len(ids), np.float32), np.ones(len(ids), bool)
    starts = np.zeros(len(ids))
    cells = {row.example for row in found.rows}
    wanted = cells | {files.unguarded(cell) for cell in cells}
    positions = {each: i for i, each in enumerate(ids) if each in wanted}
    places = {}
    for row in found.rows:
        position = positions.get(files.unguarded(row.example), positions.get(row.example))
        shown = f"{found.name}, {row.place}, has id={excerpt(row.example)!r}"
        if position is None:
            raise InputError(f"{shown}, which is not in train of the split: remove it.")
        if position in places:
            raise InputError(f"{shown}, as {places[position]} has: remove one of them.")
        places[position] = row.place
        weights[position], kept[position], starts[position] = row.weight, row.keep, row.start
    if not weights[kept].any():
        raise InputError(f"{found.name} leaves nothing to train on: keep some examples.")
    if not weights[kept & (starts == 0)].any():
        raise InputError(
            f"{found.name} leaves nothing to train on at first: give some examples start=0."
        )
    different = len(np.unique(starts[kept]))
    if different > _MOST_STARTS:
        raise InputError(
            f"{found.name} has {different:,} different values of start: round them, so that there "
            f"are at most {_MOST_STARTS}."
        )
    return weights, kept, starts


def _table(table: str, above: int, name: str) -> Iterator[tuple[str, ...]]:
    for line, row in spreadsheet.rows(table, name, COLUMNS[:1], COLUMNS[1:], above):
        if any(map(str.strip, row.values())):
            yield f"line {line}", *(row[column] for column in COLUMNS)


def _arrays(encoded: bytes, name: str) -> tuple[str, Iterator[tuple[str, ...]]]:
    try:
        stored = npz.arrays(encoded, _MOST_BYTES)
    except npz.UNREADABLE as error:
        raise InputError(f"{name} can't be read: {excerpt(files.reason(error))}.") from error
    if "id" not in stored:
        raise InputError(f"{name} has no array id: it has {excerpt(str(list(stored)))}.")
    arrays = {column: stored[column] for column in COLUMNS if column in stored}
    split_sha256 = str(stored.get("split_sha256", ""))
    count = arrays["id"].size
    for column, values in arrays.items():
        kinds = "U" if column == "id" else "biuf"
        if values.shape != (count,) or values.dtype.kind not in kinds:
            raise InputError(
                f"{name} has the array {column} of the shape {values.shape} and the type "
                f"{values.dtype}: it needs {count} {'texts' if column == 'id' else 'numbers'}."
            )
    for column in arrays.keys() - {"id", "keep"}:  # which may be bool
        arrays[column] = arrays[column].astype(np.float64)
    texts = {column: map(str, values.tolist()) for column, values in arrays.items()}
    columns = [texts.get(column, [""] * count) for column in COLUMNS]
    rows = ((f"position {i}", *row) for i, row in enumerate(zip(*columns, strict=True)))
    return split_sha256, rows


def _row(name: str, place: str, example: str, weight: str, keep: str, start: str) -> ExampleRow:
    factor, share = _number(weight, 1.0), _number(start, 0.0)
    # As training will see it: a larger number is infinite there.
    if not 0 <= factor <= float(np.finfo(np.float32).max):
        raise InputError(
            f"{name}, {place}, has weight={excerpt(weight)!r}: write a finite number that is at "
            "least 0, such as 0.5."
        )
    words = {"": True, "1": True, "1.0": True, "true": True, "0": False, "0.0": False}
    words["false"] = False
    word = keep.strip().casefold()
    if word not in words:
        raise InputError(f"{name}, {place}, has keep={excerpt(keep)!r}: write 0 or 1.")
    if not 0 <= share < 1:
        raise InputError(
            f"{name}, {place}, has start={excerpt(start)!r}: write a share of training that is at "
            "least 0 and below 1, such as 0.5."
        )
    return ExampleRow(place, example, factor, words[word], share)


def _number(cell: str, empty: float) -> float:
    """The number in a cell; NaN if there is none."""
    with contextlib.suppress(ValueError):
        return float(cell.strip() or empty)
    return math.nan

"""The user's own images, listed in a CSV file: `csv:PATH`."""

import os
import pathlib
from collections.abc import Sequence

from mentormix_tf import files
from mentormix_tf.data import spreadsheet
from mentormix_tf.data.sources import users_own
from mentormix_tf.data.sources.base import UNKNOWN, Source
from mentormix_tf.data.sources.users_own import Item, Listing
from mentormix_tf.data.spreadsheet import Row
from mentormix_tf.errors import InputError

__all__ = ["ANNOTATORS", "COLUMNS", "listing", "load"]

COLUMNS = ("path", "label", "true_label", "split")  # the last two may be missing
ANNOTATORS = ("annotators_majority", "annotators_drawn")  # kinds of noise, see `sources`


def load(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads the images in a CSV file with the columns path, label, [true_label] and [split].

    Several rows with one path are an example each; with a noise of annotators, they are the labels
    of several people for one example.

    Args: see `Entry.load`; argument is the path of the CSV file.

    Raises:
        InputError: see `listing` and `users_own.load`.
    """
    found = listing(argument)
    return users_own.load(users_own.merged(found) if noise in ANNOTATORS else found)


def listing(argument: str) -> Listing:
    """Reads a CSV file, as spreadsheets write it, too.

    Paths are relative to the file's folder, or absolute. A path may have several rows. Labels are
    names or numbers. The text is UTF-8 or UTF-16; commas, semicolons or tabs separate the columns,
    whose other names are ignored.

    Args:
        argument: the path of the CSV file.

    Raises:
        InputError: the file can't be read, lacks a column, or has a row without a label, without an
            existing image, or with a split that is neither train, validation nor test.
    """
    path = pathlib.Path(files.expanded(argument, "csv"))
    name = f"dataset=csv:{argument}"
    rows = _rows(path, name)
    names = {row[column] for _, row in rows for column in ("label", "true_label")}
    ordered = sorted((name for name in names if name.strip()), key=_numbers_first)
    index = {label: i for i, label in enumerate(ordered)}
    items: dict[str, list[Item]] = {}
    for number, row in rows:
        image = _image(path.parent, row, f"{name}, line {number}")
        true_label = index[row["true_label"]] if row["true_label"].strip() else UNKNOWN
        split = _split(row["split"], rows, f"{name}, line {number}")
        items.setdefault(split, []).append(Item(image, index[row["label"]], true_label))
    if "train" not in items:
        raise InputError(f"{name} has no rows whose split is train: add some.")
    return Listing(path.parent, ordered, items)


def _rows(path: pathlib.Path, name: str) -> list[tuple[int, Row]]:
    """Each row with its line number; columns that are missing have empty cells."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"{name} is not a file: name a CSV file.")
    table = spreadsheet.text(spreadsheet.contents(path, name), name)
    rows = list(spreadsheet.rows(table, name, COLUMNS[:2], COLUMNS[2:]))
    if not rows:
        raise InputError(f"{name} has no rows: add one for each image.")
    return rows


def _image(folder: pathlib.Path, row: Row, line: str) -> pathlib.Path:
    path = pathlib.Path(os.path.normpath(folder / row["path"]))
    if not row["path"] or "\0" in row["path"] or not os.path.isfile(path):
        raise InputError(f"{line}: there is no image {row['path']!r} in {folder}.")
    if not row["label"].strip():
        raise InputError(f"{line}: {row['path']} has no label.")
    return path


def _split(word: str, rows: Sequence[tuple[int, Row]], line: str) -> str:
    split = users_own.split_of(word)
    if split is None and (word.strip() or any(row["split"].strip() for _, row in rows)):
        words = ", ".join(word for words in users_own.SPLIT_WORDS.values() for word in words)
        raise InputError(f"{line}: split={word!r} is unknown: choose one of {words}.")
    return split or "train"


def _numbers_first(name: str) -> tuple[bool, int, str, str]:
    """Sort key of class names: 10 comes after 9, and words after numbers."""
    digits = name.strip().lstrip("0")
    is_number = name.isascii() and name.strip().isdigit()
    return (not is_number, len(digits) if is_number else 0, digits if is_number else name, name)

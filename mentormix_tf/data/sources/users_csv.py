"""The user's own images, listed in a CSV file: `csv:PATH`."""

import itertools
import os
import pathlib
from collections.abc import Sequence

from mentormix_tf import files
from mentormix_tf.data import spreadsheet, verified_labels
from mentormix_tf.data.sources import users_own
from mentormix_tf.data.sources.base import UNKNOWN, Source
from mentormix_tf.data.sources.users_own import Item, Listing
from mentormix_tf.data.spreadsheet import Row
from mentormix_tf.errors import InputError, excerpt

__all__ = ["ANNOTATORS", "COLUMNS", "listing", "load"]

COLUMNS = ("path", "label", "true_label", "split", "verified")  # the last three may be missing
ANNOTATORS = ("annotators_majority", "annotators_drawn")  # kinds of noise, see `sources`


def load(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads the images in a CSV file.

    Its columns are path, label and, if they are there, true_label, split and verified.
    Several rows with one path are an example each; with a noise of annotators, they are the labels
    of several people for one example.

    Args: see `Entry.load`; argument is the path of the CSV file.

    Raises:
        InputError: see `listing` and `users_own.load`; or labels of several people are verified.
    """
    found = listing(argument)
    if noise not in ANNOTATORS:
        return users_own.load(found)
    every = itertools.chain.from_iterable(found.items.values())
    if any(item.verified != verified_labels.UNVERIFIED for item in every):
        raise InputError(
            f"dataset=csv:{argument} has verified labels, which noise={noise} can't merge with "
            "those of other people: leave the column verified empty, or choose another noise."
        )
    return users_own.load(users_own.merged(found))


def listing(argument: str) -> Listing:
    """Reads a CSV file, as spreadsheets write it, too.

    Paths are relative to the file's folder, or absolute. A path may have several rows. Labels are
    names or numbers. verified is 1 for a label that a person has checked and that is right, 0 for
    one that is wrong, and -1 or nothing for others. The text is UTF-8 or UTF-16; commas, semicolons
    or tabs separate the columns, whose other names are ignored.

    Args:
        argument: the path of the CSV file.

    Raises:
        InputError: the file can't be read, lacks a column, or has a row without a label, without an
            existing image, with a split that is neither train, validation nor test, or with a
            verified that is no such number or contradicts the true label.
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
        label, verified = index[row["label"]], _verified(row, f"{name}, line {number}")
        items.setdefault(split, []).append(Item(image, label, true_label, verified=verified))
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


def _verified(row: Row, line: str) -> int:
    verified = verified_labels.parse(row["verified"], line)
    is_known = verified != verified_labels.UNVERIFIED and row["true_label"].strip()
    if is_known and verified != int(row["label"] == row["true_label"]):
        raise InputError(
            f"{line}, has verified={verified}, but the label {excerpt(row['label'])!r} and the "
            f"true_label {excerpt(row['true_label'])!r}: correct one of them."
        )
    return verified


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

"""A person's corrections of labels, from a CSV file that the page of an audit saves.

    # split_sha256=8c6d…
    id,decision,label
    train_00789,relabel,6
    train_01195,keep,6
    train_00049,drop,

The first line names the split whose labels were looked at.
"""

import dataclasses
import difflib
import hashlib
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from mentormix_tf import files
from mentormix_tf.data import spreadsheet
from mentormix_tf.data.writer import labels_sha256
from mentormix_tf.errors import InputError, excerpt

__all__ = ["COLUMNS", "DECISIONS", "Corrected", "apply", "fingerprint"]

COLUMNS = ("id", "decision", "label")
DECISIONS = ("relabel", "keep", "drop")
_HASH = re.compile(r'"?#\s*split_sha256\s*=\s*([0-9a-f]{64})"?[\s,;"]*', re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Corrected:
    """Labels after corrections.

    Attributes:
        labels: `[n]`, int64.
        kept: `[n]`, bool: False for examples that were dropped.
        verified: `[n]`, int64: 1 where a person has confirmed or set the label, else -1.
        record: what was done, for the manifest: an entry for each file.
    """

    labels: np.ndarray
    kept: np.ndarray
    verified: np.ndarray
    record: list[dict[str, Any]]


def fingerprint(paths: Sequence[str]) -> str:
    """A short hash of the contents of files of corrections, for the name of a split's folder.

    Raises:
        InputError: a file can't be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(_read(path).encode()).digest())
    return digest.hexdigest()[:8]


def apply(
    paths: Sequence[str],
    ids: Sequence[str],
    labels: np.ndarray,
    kept: np.ndarray,
    class_names: Sequence[str],
) -> Corrected:
    """Applies files of corrections, each to the result of the one before.

    Args:
        paths: the files.
        ids: names of the n examples.
        labels: `[n]`, int64, their labels.
        kept: `[n]`, bool, which of them are in the split, for training or validation.
        class_names: the name of each class.

    Raises:
        InputError: a file can't be read, is of another split, or has a row that can't be applied.
    """
    labels, kept, record = labels.copy(), kept.copy(), []
    verified = np.full(len(labels), -1)
    position = {identifier: i for i, identifier in enumerate(ids)}
    for path in paths:
        text, name = _read(path), f"corrections={path}"
        present = [ids[i] for i in np.flatnonzero(kept).tolist()]
        sha256 = labels_sha256(present, labels[kept].tolist())
        before, counts, seen = labels[kept], dict.fromkeys(DECISIONS, 0), {}
        for line, row in _rows(text, name, sha256):
            where = f"{name}, line {line}"
            i = _position(row["id"], position, kept, seen, line, where)
            decision, label = _decision(row, labels[i], class_names, where)
            labels[i], kept[i] = label, decision != "drop"
            verified[i] = 1 if kept[i] else -1
            counts[decision] += 1
        _check_classes(before, labels[kept], class_names, name)
        digest = hashlib.sha256(text.encode()).hexdigest()
        record.append({"sha256": digest, "split_sha256": sha256, **counts})
    return Corrected(labels, kept, verified, record)


def _read(path):
    return spreadsheet.text(pathlib.Path(path), f"corrections={path}")


def _rows(text, name, sha256):
    """The rows of a file, after a check that it is of the split with this hash."""
    first, _, table = text.partition("\n")
    match = _HASH.fullmatch(first.strip())
    if match is None:
        raise InputError(
            f"{name} begins with {excerpt(first)!r} instead of '# split_sha256=' and the hash of "
            "the split: save the file from the audit's page again, or copy that line from "
            "split_sha256 in its audit.json."
        )
    if match[1].lower() != sha256:
        raise InputError(
            f"{name} corrects another split ({match[1][:8].lower()} instead of {sha256[:8]}): give "
            "the data set, noise and seed of the run that was audited, and all earlier corrections."
        )
    rows = spreadsheet.rows(table, name, COLUMNS[:2], COLUMNS[2:], first_line=2)
    rows = [(line, row) for line, row in rows if any(cell.strip() for cell in row.values())]
    if not rows:
        raise InputError(f"{name} has no decisions: add a row for each example to correct.")
    stored = files.unguarded
    return [(line, {column: stored(cell) for column, cell in row.items()}) for line, row in rows]


def _position(identifier, position, kept, seen, line, where):
    i = position.get(identifier, position.get(identifier.strip()))
    if i in seen:
        raise InputError(
            f"{where}: {excerpt(identifier)!r} was decided in line {seen[i]} already: remove one "
            "of the two."
        )
    if i is None or not kept[i]:
        raise InputError(
            f"{where}: the split has no example {excerpt(identifier)!r}: remove the line."
        )
    seen[i] = line
    return i


def _decision(row, label, class_names, where):
    """The decision of a row, and the label after it."""
    decision, name = row["decision"].strip().lower(), row["label"]
    if decision not in DECISIONS:
        raise InputError(
            f"{where}: decision={excerpt(row['decision'])!r} is unknown: choose one of "
            f"{', '.join(DECISIONS)}."
        )
    if decision == "drop":
        return decision, label
    if not name.strip():
        if decision == "keep":
            return decision, label
        raise InputError(f"{where}: relabel needs a label: give the name of the right class.")
    name = name if name in class_names else name.strip()
    if name not in class_names:
        near = difflib.get_close_matches(name, class_names, n=1) or class_names[:10]
        raise InputError(
            f"{where}: {excerpt(name)!r} is no class: choose one, such as {', '.join(near)}."
        )
    chosen = list(class_names).index(name)
    if decision == "keep" and chosen != label:
        raise InputError(
            f"{where}: keep names {excerpt(name)!r}, but the label is {class_names[label]!r}: "
            "write relabel to change it."
        )
    return "keep" if chosen == label else decision, chosen


def _check_classes(before, after, class_names, name):
    if not len(after):
        raise InputError(f"{name} drops all examples: keep some to train on.")
    missing = np.setdiff1d(before, after)
    if len(missing):
        raise InputError(
            f"{name} leaves class {class_names[missing[0]]} without an example: keep one, or "
            "remove the class from the data set."
        )

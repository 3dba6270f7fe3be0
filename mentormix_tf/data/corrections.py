"""A person's corrections of a split's labels, which are applied before the split is written.

A file of corrections belongs to one split, which its first line names by `split_sha256`, and names
examples by their ids:

    # split_sha256=5c9a...
    id,decision,label
    train_17,relabel,cat
    train_4,keep,
    train_93,drop,

A column `verified` may say of a label that is kept that it is wrong (0), or unchecked (-1).
"""

import collections
import dataclasses
import difflib
import hashlib
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from mentormix_tf import files
from mentormix_tf.data import spreadsheet, verified_labels
from mentormix_tf.data.manifest_facts import labels_sha256
from mentormix_tf.errors import InputError, excerpt

__all__ = [
    "COLUMNS",
    "DECISIONS",
    "Corrections",
    "Decision",
    "LabeledSplit",
    "apply",
    "file_hashes",
    "paths",
    "read",
    "split_named_above",
]

COLUMNS = ("id", "decision", "label")
DECISIONS = ("relabel", "keep", "drop")
_COUNTED = {"relabel": "relabeled", "drop": "dropped", "keep": "kept"}
# A spreadsheet may put the line in quotes, and separators after it.
_HASH_LINE = re.compile(r"""["\s]*#\s*split_sha256\s*=\s*([0-9a-f]{64})[",;\s]*""", re.IGNORECASE)
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclasses.dataclass(frozen=True)
class Decision:
    """What a person decided about an example.

    Attributes:
        line: number of the line in the file.
        example: id of the example, as the file has it.
        word: one of `DECISIONS`.
        label: name of a class; may be "" unless the word is relabel.
        verified: what the split says of the label from then on: 1 if it is right, 0 if it is wrong,
            -1 if nobody has checked it.
    """

    line: int
    example: str
    word: str
    label: str
    verified: int = verified_labels.RIGHT


@dataclasses.dataclass(frozen=True)
class Corrections:
    """The contents of a file of corrections.

    Attributes:
        name: the flag and the file, for errors.
        split_sha256: that of the split to correct.
        file_sha256: SHA-256 of the file.
        decisions: at least one.
    """

    name: str
    split_sha256: str
    file_sha256: str
    decisions: Sequence[Decision]


@dataclasses.dataclass(frozen=True)
class LabeledSplit:
    """A split before it is written: examples of a source, some of which are in its parts.

    Attributes:
        class_names: the name of each class.
        ids: n strings, each different.
        labels: `[n]`, int64, the labels to train on.
        parts: for train and validation, which examples are in it: `[n]`, bool.
        verified: `[n]`, int64, 1 where a person has checked or set the label and it is right, 0
            where it is wrong, -1 where nobody has; None if nobody has checked any.
        applied: what the manifest says of each file of corrections that was applied.
    """

    class_names: Sequence[str]
    ids: Sequence[str]
    labels: np.ndarray
    parts: dict[str, np.ndarray]
    verified: np.ndarray | None = None
    applied: tuple[dict[str, Any], ...] = ()

    @property
    def used(self) -> np.ndarray:
        """`[n]`, bool: which examples are in any part."""
        return np.any(list(self.parts.values()), axis=0)

    @property
    def sha256(self) -> str:
        """The `split_sha256` that the split will have."""
        chosen = np.flatnonzero(self.used)
        return labels_sha256([self.ids[i] for i in chosen.tolist()], self.labels[chosen])


def paths(flag: str) -> list[str]:
    """The files that the flag `--corrections` names, in the order in which they are applied.

    Args:
        flag: a path, or several that are separated by commas; "" for none.

    Raises:
        InputError: one of them is not a file.
    """
    if not flag:
        return []
    whole = str(files.expanded(flag, "corrections"))
    parts = flag.split(",")
    found = [whole]
    if len(parts) > 1 and not os.path.isfile(whole):
        found = [str(files.expanded(part.strip(), "corrections")) for part in parts]
    for path in found:
        if not os.path.isfile(path):
            problem = "is not a file" if os.path.exists(path) else "does not exist"
            raise InputError(f"corrections={path} {problem}: name a file that the audit saved.")
    return found


def file_hashes(flag: str) -> list[str]:
    """The SHA-256 of each file that the flag `--corrections` names.

    Args:
        flag: see `paths`.

    Raises:
        InputError: a file can't be read.
    """
    found = [spreadsheet.contents(path, f"corrections={path}") for path in paths(flag)]
    return [hashlib.sha256(encoded).hexdigest() for encoded in found]


def split_named_above(text: str) -> tuple[str | None, str, int]:
    """Separates the line `# split_sha256=...` from the table below it.

    Args:
        text: the text of a file.

    Returns:
        The hash, in lower case, or None if the text does not begin with such a line; the rest of
        the text; and the number of lines before it.
    """
    first, *rest = _LINE_END.split(text, maxsplit=1)
    found = _HASH_LINE.fullmatch(first)
    return (found[1].lower(), "".join(rest), 1) if found else (None, text, 0)


def read(path: str) -> Corrections:
    """Reads a file of corrections, as spreadsheets write it, too.

    Args:
        path: the file.

    Raises:
        InputError: the file can't be read, does not say which split it is for, lacks a column, or
            has a decision that is unknown or incomplete, or none.
    """
    name = f"corrections={path}"
    encoded = spreadsheet.contents(path, name)
    sha256, table, above = split_named_above(spreadsheet.text(encoded, name))
    if sha256 is None:
        raise InputError(
            f"{name} does not begin with a line '# split_sha256=' and 64 hexadecimal digits, which "
            "says for which split it is: save it again from the audit."
        )
    rows = spreadsheet.rows(table, name, COLUMNS, ["verified"], above)
    # Spreadsheets write rows of empty cells below a table.
    decisions = [_decision(name, *row) for row in rows if any(map(str.strip, row[1].values()))]
    if not decisions:
        raise InputError(f"{name} has no decisions: add a row for each example to correct.")
    return Corrections(name, sha256, hashlib.sha256(encoded).hexdigest(), decisions)


def _decision(name: str, line: int, row: spreadsheet.Row) -> Decision:
    word = row["decision"].strip().casefold()
    label = files.unguarded(row["label"].strip())
    if word not in DECISIONS:
        raise InputError(
            f"{name}, line {line}, has decision={excerpt(row['decision'])!r}: choose one of "
            f"{', '.join(DECISIONS)}."
        )
    if word == "relabel" and not label:
        raise InputError(
            f"{name}, line {line}, relabels {excerpt(row['id'])!r} without a label: name its class."
        )
    given = verified_labels.parse(row["verified"], f"{name}, line {line}")
    verified = given if row["verified"].strip() else verified_labels.RIGHT
    if word == "relabel" and verified != verified_labels.RIGHT:
        raise InputError(
            f"{name}, line {line}, relabels {excerpt(row['id'])!r} with verified={given}, but a "
            "label that a person has set counts as right: leave verified empty, or write keep."
        )
    return Decision(line, row["id"], word, label, verified)


def apply(corrections: Corrections, split: LabeledSplit) -> LabeledSplit:
    """Applies corrections to the split that they were made for.

    Args:
        corrections: the contents of a file.
        split: the split.

    Returns:
        The corrected split, with the examples in the same places.

    Raises:
        InputError: the corrections are for another split, name an example or a class that it does
            not have, or leave nothing of a part or of a class.
    """
    name, sha256 = corrections.name, split.sha256
    if corrections.split_sha256 != sha256:
        before = " after the corrections before it" if split.applied else ""
        raise InputError(
            f"{name} is for the split {corrections.split_sha256[:8]}, but the other flags name the "
            f"split {sha256[:8]}{before}: give the flags of the split that was corrected, or "
            "corrections of this one."
        )
    labels, dropped = split.labels.copy(), np.zeros(len(split.labels), bool)
    nothing = np.full(len(labels), verified_labels.UNVERIFIED)
    verified = nothing if split.verified is None else split.verified.copy()
    lines, counts = {}, dict.fromkeys(_COUNTED.values(), 0)
    for position, decision in _located(corrections, split):
        lines[position] = decision.line
        label = _label(name, decision, split, int(labels[position]))
        word = decision.word if label != labels[position] or decision.word == "drop" else "keep"
        counts[_COUNTED[word]] += 1
        labels[position], verified[position] = label, decision.verified
        dropped[position] = word == "drop"
    _check_something_is_left(name, split, labels, dropped, lines)
    entry = {"base_sha256": sha256, **counts, "file_sha256": corrections.file_sha256}
    return dataclasses.replace(
        split,
        labels=labels,
        parts={part: inside & ~dropped for part, inside in split.parts.items()},
        verified=verified,
        applied=(*split.applied, entry),
    )


def _located(corrections: Corrections, split: LabeledSplit) -> list[tuple[int, Decision]]:
    """The decisions, each with the position of its example in the source."""
    name, found, lines = corrections.name, [], {}
    cells = {decision.example for decision in corrections.decisions}
    wanted = cells | {files.unguarded(cell) for cell in cells}
    inside = np.flatnonzero(split.used).tolist()
    positions = {split.ids[i]: i for i in inside if split.ids[i] in wanted}
    for decision in corrections.decisions:
        line, cell = decision.line, decision.example
        position = positions.get(files.unguarded(cell), positions.get(cell))
        if position is None:
            raise InputError(
                f"{name}, line {line}, has id={excerpt(cell)!r}, which is in neither train nor "
                "validation of the split: write the id as it was, or remove the line."
            )
        if position in lines:
            raise InputError(
                f"{name}, line {line}, decides about id={excerpt(cell)!r}, as line "
                f"{lines[position]} does: remove one of them."
            )
        lines[position] = line
        found.append((position, decision))
    return found


def _label(name: str, decision: Decision, split: LabeledSplit, given: int) -> int:
    """The label that an example has after a decision."""
    if decision.word == "drop" or not decision.label:
        return given
    names = list(split.class_names)
    if decision.label not in names:
        shown = excerpt(decision.label)
        nearest = difflib.get_close_matches(shown, names, n=1, cutoff=0.0)[0]
        raise InputError(
            f"{name}, line {decision.line}, has label={shown!r}, which is no class: the nearest is "
            f"{nearest!r}."
        )
    label = names.index(decision.label)
    if decision.word == "keep" and label != given:
        raise InputError(
            f"{name}, line {decision.line}, keeps the label {decision.label!r} of an example whose "
            f"label is {names[given]!r}: write relabel, or leave the label empty."
        )
    return label


def _check_something_is_left(
    name: str,
    split: LabeledSplit,
    labels: np.ndarray,
    dropped: np.ndarray,
    lines: dict[int, int],
) -> None:
    """Raises an InputError if dropping empties a part, or a class of train."""
    for part, inside in split.parts.items():
        if inside.any() and not (inside & ~dropped).any():
            raise InputError(f"{name} drops all examples of {part}: keep some of them.")
    train = split.parts["train"]
    left = collections.Counter(labels[train & ~dropped].tolist())
    for position in np.flatnonzero(train & dropped).tolist():
        label = int(split.labels[position])
        if not left[label]:
            raise InputError(
                f"{name}, line {lines[position]}, drops the last training example of class "
                f"{split.class_names[label]!r}: keep one of them, or prepare the data without the "
                "class."
            )

"""Files of corrections for tests, and splits read by TFDS alone."""

import csv
import io
from typing import Any

import tensorflow_datasets as tfds


def read_by_tfds(path, split):
    """The examples of a split in the order of its files, without this package."""
    builder: Any = tfds.builder_from_directory(path)
    config = tfds.ReadConfig(interleave_cycle_length=1)
    return list(builder.as_dataset(split=split, read_config=config).as_numpy_iterator())


def by_id(split, part="train"):
    """The examples of a prepared split by id."""
    return {e["id"].decode(): e for e in read_by_tfds(split.path, part)}


def text(sha256, rows, header=("id", "decision", "label"), delimiter=",", line_end="\n"):
    table = io.StringIO()
    csv.writer(table, delimiter=delimiter, lineterminator=line_end).writerows([header, *rows])
    return f"# split_sha256={sha256}{line_end}{table.getvalue()}"


def decisions(base):
    """Rows about examples of both parts, and what they do: the new label of each id."""
    train, validation = read_by_tfds(base.path, "train"), read_by_tfds(base.path, "validation")
    wrong = [e for e in train if not e["is_clean"]][:20]
    right = [e for e in train if e["is_clean"]][:9]
    rows = [(e["id"].decode(), "relabel", str(e["true_label"])) for e in wrong]
    rows += [(e["id"].decode(), "keep", "") for e in right[:3]]
    rows += [(e["id"].decode(), "keep", str(e["label"])) for e in right[3:5]]
    rows += [(e["id"].decode(), "relabel", str(e["label"])) for e in right[5:7]]  # its own label
    rows += [(right[7]["id"].decode(), "relabel", str((right[7]["label"] + 1) % 10))]  # a mistake
    rows += [(right[8]["id"].decode(), "drop", "anything")]
    rows += [(validation[0]["id"].decode(), "drop", "")]
    rows += [(validation[1]["id"].decode(), "relabel", str((validation[1]["label"] + 3) % 10))]
    return rows

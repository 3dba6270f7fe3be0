"""Verification of a prepared split: reads every record and lists the problems it finds."""

import collections
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath
from tqdm import tqdm

from mentormix_tf import files
from mentormix_tf.config import DataConfig
from mentormix_tf.data import prepared, records, splits
from mentormix_tf.data.examples import OF_ANNOTATORS
from mentormix_tf.data.manifest_facts import labels_sha256, mean_disagreement, realized_noise_rate
from mentormix_tf.errors import InputError

__all__ = ["COLUMNS", "MOST_CLASSES", "SHOWN", "Verification", "examine", "verify"]

COLUMNS = ("id", "label", "true_label", "is_clean")
SHOWN = 5  # most duplicate ids to list
MOST_CLASSES = 20  # most classes to show a histogram for


@dataclasses.dataclass(frozen=True)
class Verification:
    """The result of verifying a split.

    Attributes:
        path: folder of the split.
        manifest: manifest of the split.
        class_names: the name of each class.
        problems: a sentence for each problem, naming the file.
        histograms: number of examples of each class by given label, `[classes]`, for each split.
        realized_noise_rate: fraction of the training labels that are wrong; None if unknown.
        sha256: SHA-256 of the training labels, computed as for the manifest.
    """

    path: epath.Path
    manifest: dict[str, Any]
    class_names: list[str]
    problems: list[str]
    histograms: dict[str, np.ndarray]
    realized_noise_rate: float | None
    sha256: str

    def text(self) -> str:
        """Summarizes the result for the user in a few lines."""
        rate, level = self.realized_noise_rate, self.manifest["noise_level"]
        level = "none" if level is None else f"{level:.4f}"
        realized = "unknown" if rate is None else f"{rate:.4f}"
        lines = [
            f"{self.path}",
            f"  noise     {self.manifest['noise']}, level {level}, realized {realized}",
            f"  sha256    {self.sha256}",
        ]
        for split, histogram in self.histograms.items():
            lines += self._counts(split, histogram)
        if not self.problems:
            return "\n".join([*lines, "Nothing is wrong."])
        lines.append(f"{len(self.problems)} problems; delete the folder and prepare it again:")
        return "\n".join([*lines, *(f"  {problem}" for problem in self.problems)])

    def _counts(self, split: str, histogram: np.ndarray) -> list[str]:
        names = self.class_names
        fewest, most = histogram.argmin(), histogram.argmax()
        lines = [
            f"  {split:<10}{histogram.sum():,} examples, from {histogram[fewest]:,} "
            f"({names[fewest]}) to {histogram[most]:,} ({names[most]}) per class"
        ]
        if len(histogram) <= MOST_CLASSES:
            lines += [
                f"    {name:<20}{count:>8,}  {'#' * round(40 * count / max(histogram[most], 1))}"
                for name, count in zip(names, histogram, strict=True)
            ]
        return lines


def verify(config: DataConfig) -> Verification:
    """Reads every record of a split and compares them with the manifest.

    Args:
        config: which split.

    Raises:
        InputError: the split does not exist or can't be opened.
    """
    config = splits.resolve(config)
    path = splits.folder(config)
    if not files.exists(path, "data_dir"):
        raise InputError(f"{path} does not exist: make it with python -m mentormix_tf.prepare.")
    data = prepared.read(path)
    return examine(data.builder, data.manifest)


def examine(builder: tfds.core.DatasetBuilder, manifest: dict[str, Any]) -> Verification:
    """Reads every record of a split and compares them with its manifest.

    Args:
        builder: TFDS builder of the split.
        manifest: manifest of the split.
    """
    problems, examples = [], {}
    features: Any = builder.info.features
    num_classes = features["label"].num_classes
    total = builder.info.splits.total_num_examples
    with tqdm(total=total, desc="Reading records", disable=None) as bar:  # None: in terminals only
        for split, info in builder.info.splits.items():
            shards = zip(info.filepaths, info.shard_lengths, strict=True)
            read = [_examine_file(*shard, builder, manifest, problems, bar) for shard in shards]
            examples[split] = {
                name: np.concatenate([columns[name] for columns in read])
                for name in _columns(features)
            }
    histograms = {
        split: np.bincount(
            columns["label"][_in_range(columns["label"], 0, num_classes)], minlength=num_classes
        )
        for split, columns in examples.items()
    }
    train = [examples[split] for split in ("train", "validation") if split in examples]
    ids = [identifier.decode() for columns in train for identifier in columns["id"]]
    rate = realized_noise_rate(np.concatenate([columns["is_clean"] for columns in train]))
    sha256 = labels_sha256(ids, np.concatenate([columns["label"] for columns in train]).tolist())
    problems += _compare(manifest, ids, rate, sha256)
    if "num_verified" in manifest:
        named = ("verified", "is_clean")
        verified, clean = (np.concatenate([each[name] for each in train]) for name in named)
        problems += _compare_verified(manifest, verified, clean)
    if "mean_disagreement" in manifest:
        counts = [np.concatenate([columns[name] for columns in train]) for name in OF_ANNOTATORS]
        problems += _compare_disagreement(manifest["mean_disagreement"], *counts)
    path = epath.Path(builder.data_path)
    return Verification(path, manifest, features["label"].names, problems, histograms, rate, sha256)


def _examine_file(
    path: epath.Path,
    expected: int,
    builder: tfds.core.DatasetBuilder,
    manifest: Mapping[str, Any],
    problems: list[str],
    bar: tqdm,
) -> dict[str, np.ndarray]:
    """Returns the columns of a file's readable records, and appends to the problems."""
    features: Any = builder.info.features
    columns = {name: np.array([], "S" if name == "id" else np.int64) for name in _columns(features)}
    if not path.exists():
        problems.append(f"{path}: the file is missing, with {expected} records.")
        return columns
    size, written = files.size(path), manifest["files"].get(path.name)
    if size != written:
        problems.append(f"{path}: the file has {size} bytes, but was written with {written}.")
    stored = tf.data.TFRecordDataset(str(path))
    count = _count_readable(stored)
    if count != expected:
        problems.append(
            f"{path}: only {count} of {expected} records can be read: the next one is damaged, or "
            "the file ends there."
        )
    elif not records.is_as_written(path, manifest):
        problems.append(f"{path}: the file {records.NOT_AS_WRITTEN}.")
    parsed = stored.take(count).map(_parser(features), tf.data.AUTOTUNE)
    try:
        batches = list(parsed.batch(1000).as_numpy_iterator())
    except tf.errors.OpError:
        problems.append(f"{path}: the file has records that are not examples of this split.")
        return columns
    if batches:
        columns = {
            name: np.concatenate([batch[name] for batch in batches]) for name in _columns(features)
        }
    bar.update(count)
    problems += _judge(path, columns, parsed, features["label"].num_classes)
    return columns


def _judge(
    path: epath.Path,
    columns: Mapping[str, np.ndarray],
    parsed: tf.data.Dataset,
    num_classes: int,
) -> list[str]:
    """Lists the problems with the contents of a file's records."""
    problems = []
    for name, lowest in [("label", 0), ("true_label", -1)]:
        wrong = columns[name][~_in_range(columns[name], lowest, num_classes)]
        if len(wrong):
            problems.append(
                f"{path}: {len(wrong)} records have a {name} outside [{lowest}, {num_classes}), "
                f"the first is {wrong[0]}."
            )

    def decode(example):
        image = tf.io.decode_image(example["image"], expand_animations=False)
        return example["id"], tf.size(image)

    decodable = parsed.map(decode, tf.data.AUTOTUNE).ignore_errors().batch(1000)
    decoded = {identifier for ids, _ in decodable.as_numpy_iterator() for identifier in ids}
    bad = [identifier.decode() for identifier in columns["id"] if identifier not in decoded]
    if bad:
        problems.append(f"{path}: {len(bad)} images can't be decoded, the first is {bad[0]}.")
    return problems


def _parser(features: Any) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    skip = {"image": tfds.decode.SkipDecoding()}

    def parse(record):
        example = features.deserialize_example(record, decoders=skip)
        return {name: example[name] for name in (*_columns(features), "image")}

    return parse


def _columns(features: Any) -> list[str]:
    """The columns to read: `COLUMNS`, and those that only some splits have."""
    return [*COLUMNS, *(name for name in ("verified", *OF_ANNOTATORS) if name in features)]


def _count_readable(stored: tf.data.Dataset) -> int:
    # ignore_errors ends a file at its first damaged record.
    return int(stored.ignore_errors().reduce(np.int64(0), lambda count, _: count + 1))


def _in_range(values: np.ndarray, lowest: int, end: int | np.ndarray) -> np.ndarray:
    return (values >= lowest) & (values < end)


def _compare(
    manifest: Mapping[str, Any], ids: Sequence[str], rate: float | None, sha256: str
) -> list[str]:
    problems = [
        f"id {identifier} occurs {count} times."
        for identifier, count in collections.Counter(ids).most_common(SHOWN)
        if count > 1
    ]
    if rate != manifest["realized_noise_rate"]:
        wrote = manifest["realized_noise_rate"]
        problems.append(f"The fraction of wrong labels is {rate}, but the manifest has {wrote}.")
    if sha256 != manifest["split_sha256"]:
        wrote = manifest["split_sha256"]
        problems.append(f"The hash of the labels is {sha256}, but the manifest has {wrote}.")
    return problems


def _compare_verified(
    manifest: Mapping[str, Any], verified: np.ndarray, is_clean: np.ndarray
) -> list[str]:
    written, count = manifest["num_verified"], int((verified >= 0).sum())
    foreign = int((~_in_range(verified, -1, 2)).sum())
    known = (verified >= 0) & (is_clean >= 0)
    differing = int((verified != is_clean)[known].sum())
    # A person who corrects labels may be mistaken.
    decided = sum(entry["relabeled"] + entry["kept"] for entry in manifest.get("corrections", []))
    problems = []
    if foreign:
        problems.append(f"{foreign} records have a verified outside [-1, 2).")
    if count != written:
        problems.append(f"{count} labels are verified, but the manifest has {written}.")
    if differing > decided:
        problems.append(f"{differing} records have another verified than their is_clean.")
    return problems


def _compare_disagreement(
    written: float, annotators: np.ndarray, disagreeing: np.ndarray
) -> list[str]:
    wrong = int(((annotators < 1) | ~_in_range(disagreeing, 0, annotators + 1)).sum())
    if wrong:
        return [f"{wrong} records have a disagreeing outside [0, annotators]."]
    found = mean_disagreement(annotators, disagreeing)
    if math.isclose(found, written, rel_tol=1e-9):
        return []
    return [f"The mean disagreement is {found}, but the manifest has {written}."]

"""Reading every record of a prepared split, to find what is wrong with it."""

import collections
import dataclasses
import json

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath
from tqdm import tqdm

from mentormix_tf.config import DataConfig
from mentormix_tf.data import splits
from mentormix_tf.data.writer import MANIFEST, labels_sha256, realized_noise_rate
from mentormix_tf.errors import InputError

COLUMNS = ("id", "label", "true_label", "is_clean")
SHOWN = 5  # problems of one kind that are told one by one
MOST_CLASSES = 20  # whose counts are shown one by one


@dataclasses.dataclass(frozen=True)
class Verification:
    """What was found in a split.

    Attributes:
        path: its folder.
        manifest: its manifest.
        class_names: a name for each class.
        problems: a sentence for each thing that is wrong, naming the file.
        histograms: dict from split to `[classes]`, examples of each class by their given label.
        realized_noise_rate: of the training labels, or None where the truth is not known.
        sha256: of the training labels, as in the manifest.
    """

    path: epath.Path
    manifest: dict
    class_names: list
    problems: list
    histograms: dict
    realized_noise_rate: float | None
    sha256: str

    def text(self) -> str:
        """What was found, for people to read."""
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

    def _counts(self, split, histogram):
        names = self.class_names
        fewest, most = histogram.argmin(), histogram.argmax()
        lines = [
            f"  {split:<10}{histogram.sum():,} examples, from {histogram[fewest]:,} "
            f"({names[fewest]}) to {histogram[most]:,} ({names[most]}) a class"
        ]
        if len(histogram) <= MOST_CLASSES:
            lines += [
                f"    {name:<20}{count:>8,}  {'#' * round(40 * count / max(histogram[most], 1))}"
                for name, count in zip(names, histogram, strict=True)
            ]
        return lines


def verify(config: DataConfig) -> Verification:
    """Reads every record of the split that a config names, and compares it with what was written.

    Args:
        config: `DataConfig`.

    Raises:
        InputError: the split is not there, or can't be opened.
    """
    config = splits.resolve(config)
    path = splits.folder(config)
    if not path.exists():
        raise InputError(f"{path} does not exist: make it with python -m mentormix_tf.prepare.")
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        builder = tfds.builder_from_directory(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be read: {error}. Delete it, prepare it again.") from error
    return examine(builder, manifest)


def examine(builder: tfds.core.DatasetBuilder, manifest: dict) -> Verification:
    """Reads every record of a split and compares it with what was written.

    Args:
        builder: TFDS builder of the split.
        manifest: its manifest.

    Returns:
        `Verification`.
    """
    problems, examples = [], {}
    num_classes = builder.info.features["label"].num_classes
    total = builder.info.splits.total_num_examples
    with tqdm(total=total, desc="Reading records", disable=None) as bar:  # None: in terminals only
        for split, info in builder.info.splits.items():
            shards = zip(info.filepaths, info.shard_lengths, strict=True)
            read = [_examine_file(*shard, builder, manifest, problems, bar) for shard in shards]
            examples[split] = {
                name: np.concatenate([columns[name] for columns in read]) for name in COLUMNS
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
    class_names = builder.info.features["label"].names
    path = epath.Path(builder.data_path)
    return Verification(path, manifest, class_names, problems, histograms, rate, sha256)


def _examine_file(path, expected, builder, manifest, problems, bar):
    """Columns of a file's records as far as they can be read; adds to the problems."""
    columns = {name: np.array([], "S" if name == "id" else np.int64) for name in COLUMNS}
    if not path.exists():
        problems.append(f"{path}: the file is missing, with {expected} records.")
        return columns
    size, written = path.stat().length, manifest["files"].get(path.name)
    if size != written:
        problems.append(f"{path}: has {size} bytes, but was written with {written}.")
    records = tf.data.TFRecordDataset(str(path))
    count = _count_readable(records)
    if count != expected:
        problems.append(
            f"{path}: only {count} of {expected} records can be read: the next one is damaged, or "
            "the file ends there."
        )
    parsed = records.take(count).map(_parser(builder.info.features), tf.data.AUTOTUNE)
    try:
        batches = list(parsed.batch(1000).as_numpy_iterator())
    except tf.errors.OpError:
        problems.append(f"{path}: has records that are no examples of this split.")
        return columns
    if batches:
        columns = {name: np.concatenate([batch[name] for batch in batches]) for name in COLUMNS}
    bar.update(count)
    problems += _judge(path, columns, parsed, builder.info.features["label"].num_classes)
    return columns


def _judge(path, columns, parsed, num_classes):
    """What is wrong with the contents of a file's records."""
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


def _parser(features):
    skip = {"image": tfds.decode.SkipDecoding()}

    def parse(record):
        example = features.deserialize_example(record, decoders=skip)
        return {name: example[name] for name in (*COLUMNS, "image")}

    return parse


def _count_readable(records):
    # ignore_errors ends a file at its first damaged record.
    return int(records.ignore_errors().reduce(np.int64(0), lambda count, _: count + 1))


def _in_range(values, lowest, end):
    return (values >= lowest) & (values < end)


def _compare(manifest, ids, rate, sha256):
    problems = [
        f"id {identifier} stands {count} times."
        for identifier, count in collections.Counter(ids).most_common(SHOWN)
        if count > 1
    ]
    if rate != manifest["realized_noise_rate"]:
        wrote = manifest["realized_noise_rate"]
        problems.append(f"The share of wrong labels is {rate}, the manifest says {wrote}.")
    if sha256 != manifest["split_sha256"]:
        wrote = manifest["split_sha256"]
        problems.append(f"The hash of the labels is {sha256}, the manifest says {wrote}.")
    return problems

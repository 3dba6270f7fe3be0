"""Noisy splits by name: found where they were made before, made where they are missing."""

import dataclasses
import errno
import hashlib
import json
import logging
import os
import pathlib
import re
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath

from mentormix_tf import files
from mentormix_tf.config import DataConfig
from mentormix_tf.data import augment, images, noise, pipeline, sources
from mentormix_tf.data.sources.users_own import fingerprint
from mentormix_tf.data.writer import MANIFEST, NoisyLabels, NoisyLabelsConfig, SplitPlan
from mentormix_tf.errors import InputError

_log = logging.getLogger(__name__)

DEFAULT_LEVEL = 0.4


@dataclasses.dataclass(frozen=True)
class NoisySplits:
    """A prepared noisy split.

    Attributes:
        path: its folder.
        builder: TFDS builder with the splits train, perhaps validation, and test.
        manifest: what is known of its labels.
    """

    path: epath.Path
    builder: tfds.core.DatasetBuilder
    manifest: dict[str, Any]

    @property
    def class_names(self) -> list[str]:
        """A name for each class."""
        return self.builder.info.features["label"].names

    @property
    def image_shape(self) -> tuple[int | None, int | None, int]:
        """`(height, width, channels)`, with None for sides that differ between images."""
        return self.builder.info.features["image"].shape

    def __contains__(self, split: str) -> bool:
        return split in self.builder.info.splits

    def num_examples(self, split: str) -> int:
        """How many examples a split has."""
        return self.builder.info.splits[split].num_examples

    def steps_per_epoch(self, batch_size: int) -> int:
        """How many training batches an epoch has; its incomplete last one is left out.

        Raises:
            InputError: there are fewer examples than `batch_size`.
        """
        return pipeline.steps_per_epoch(self, batch_size)

    def batches(
        self,
        split: str,
        batch_size: int,
        seed: int = 0,
        augmentation: str = "auto",
        image_size: int = 0,
        columns: Sequence[str] = pipeline.COLUMNS,
    ) -> tf.data.Dataset:
        """Batches as the train command sees them, for `fit` and `evaluate`.

        Those of train never end and are shuffled anew each epoch, so `fit` needs
        `steps_per_epoch`. Those of other splits have each example once, in order; the last one is
        filled up, with 0 in the column `weight`.

        Args:
            split: train, validation or test.
            batch_size: examples in a batch.
            seed: of the order and of the augmentation.
            augmentation: see `augment.get`.
            image_size: pixels a side; 0 for the images' own size, or 224 where that differs.
            columns: what batches have: besides image `[batch, height, width, channels]`, float32 in
                [0, 255], and label, true_label and is_clean, `[batch]`, int64, also index, the
                example's position in its split, for methods that need it.

        Raises:
            InputError: there is no such split, or it has fewer examples than `batch_size`.
        """
        if split not in self:
            there = ", ".join(self.builder.info.splits)
            raise InputError(f"split={split} is not in {self.path}: choose one of {there}.")
        how = augment.get(augmentation, self.image_shape)
        shape = augment.shown_shape(self.image_shape, image_size)
        if split == "train":
            return pipeline.train_batches(self, batch_size, seed, how, shape, columns=columns)
        return pipeline.eval_batches(self, split, batch_size, how, shape, columns=columns)

    def text(self) -> str:
        """What a user wants to know of the split, in a few lines."""
        manifest = self.manifest
        level = "" if manifest["noise_level"] is None else f", level {manifest['noise_level']:g}"
        rate = manifest["realized_noise_rate"]
        wrong = "unknown" if rate is None else f"{rate:.2%} of the training labels"
        counts = ", ".join(f"{count:,} {name}" for name, count in manifest["num_examples"].items())
        return "\n".join(
            [
                f"{manifest['dataset']}, noise {manifest['noise']}{level}, seed "
                f"{manifest['noise_seed']}",
                f"  examples     {counts}, {len(self.class_names)} classes",
                f"  wrong labels {wrong}",
                f"  sha256       {manifest['split_sha256']}",
                f"  folder       {self.path}",
            ]
        )


def load_split(dataset: str = "digits", **settings: Any) -> NoisySplits:
    """Opens a data set with noisy labels, which is made if it is missing.

        split = load_split("cifar10", noise="symmetric", noise_level=0.4)
        model.fit(split.batches("train", 128), steps_per_epoch=split.steps_per_epoch(128))

    Args:
        dataset: see `DataConfig`, whose default is digits.
        **settings: noise, noise_level, noise_seed and the other fields of `DataConfig`.

    Raises:
        InputError: the data or the settings can't be used.
        TypeError: a setting that `DataConfig` does not have.
    """
    return prepare(DataConfig(dataset=dataset, **settings))


def resolve(config):
    """Fills in what a `DataConfig` leaves out, and checks what goes with what.

    Args:
        config: `DataConfig`.

    Returns:
        `DataConfig` whose noise and noise_level (None for noise without levels) are set.

    Raises:
        InputError: an unknown data set or noise, or a flag that this noise does not take.
    """
    entry, _ = sources.get(config.dataset)
    chosen = entry.choose_noise(config.dataset, config.noise)
    kind, level = entry.noise_kinds[chosen], config.noise_level
    if kind.takes_level:
        level = DEFAULT_LEVEL if level is None else level
    elif level is not None:
        raise InputError(f"noise_level={level} can't be set: noise={chosen} has no levels.")
    if bool(config.noise_file) != kind.takes_file:
        raise InputError(
            f"noise={chosen} needs a --noise_file."
            if kind.takes_file
            else f"noise_file={config.noise_file} can't be set: noise={chosen} reads no file."
        )
    if config.noise_file and not pathlib.Path(config.noise_file).is_file():
        raise InputError(f"noise_file={config.noise_file} does not exist.")
    return dataclasses.replace(config, noise=chosen, noise_level=level)


def folder(config):
    """Where a split is or will be: its name has all that makes its labels.

    Args:
        config: `DataConfig`, resolved.
    """
    entry, argument = sources.get(config.dataset)
    name = config.dataset
    if entry in (sources.FAMILIES["folder"], sources.FAMILIES["csv"]):
        kind = config.dataset.partition(":")[0]
        name = f"{kind}_{pathlib.Path(argument).resolve().name}_{fingerprint(argument)}"
    parts = [re.sub(r"\W+", "_", name), config.noise]
    if config.noise_level is not None:
        parts.append(f"{config.noise_level:g}")
    if config.noise_file:
        parts.append(hashlib.sha256(pathlib.Path(config.noise_file).read_bytes()).hexdigest()[:8])
    parts.append(f"seed{config.noise_seed}")
    if config.validation_fraction:
        parts.append(f"val{config.validation_fraction:g}")
    if config.train_examples:
        parts.append(f"train{config.train_examples}")
    root = epath.Path(config.data_dir).expanduser()
    return root / NoisyLabels.name / "-".join(parts) / str(NoisyLabels.VERSION)


def prepare(config, skip_bad_images=False):
    """Makes a noisy split, unless it is there already.

    A split appears whole or not at all: it is written beside its place and moved there at the end.

    Args:
        config: `DataConfig`.
        skip_bad_images: leave out images that can't be decoded, rather than refuse the data.

    Returns:
        `NoisySplits`.

    Raises:
        InputError: the data or the settings can't be used, or the disk is full.
    """
    config = resolve(config)
    path = folder(config)
    if not path.exists():
        _make(config, path, skip_bad_images)
    return load(path)


def load(path):
    """Opens a prepared split, after checking that its files have the sizes they were written with.

    Args:
        path: its folder.

    Returns:
        `NoisySplits`.

    Raises:
        InputError: it is no prepared split, or a file is missing or has another size.
    """
    path = epath.Path(path)
    try:
        manifest = json.loads((path / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is not a prepared split: its {MANIFEST} can't be read. Delete the folder and "
            "prepare it again."
        ) from error
    for name, size in manifest["files"].items():
        found = (path / name).stat().length if (path / name).exists() else None
        if found != size:
            has = "is missing" if found is None else f"has {found} bytes"
            raise InputError(
                f"{path / name} {has}, but was written with {size}: delete {path} and prepare it "
                "again."
            )
    return NoisySplits(path, tfds.builder_from_directory(path), manifest)


def _make(config, path, skip_bad_images):
    """Writes a split, or waits for another process that is writing it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"data_dir: {path.parent} can't be made: {error.strerror}.") from error
    with files.lock(path.parent):
        if not path.exists():
            _log.info("Preparing %s", path)
            for leftover in path.parent.glob("*incomplete*"):
                leftover.rmtree()
            _write(config, path, skip_bad_images)


def _write(config, path, skip_bad_images):
    entry, argument = sources.get(config.dataset)
    data_dir = epath.Path(config.data_dir).expanduser()
    source = entry.load(config.noise, config.noise_level, str(data_dir), argument)
    train, test = source.train, source.test
    if source.check_images:
        train = images.check(train, "train", skip_bad_images)
        test = test and images.check(test, "test", skip_bad_images)
    labels = _noisy_labels(config, source, train)
    taken, held_out = _cut(config, len(labels))
    plans = {"train": SplitPlan(train, labels, taken)}
    if held_out.any():
        plans["validation"] = SplitPlan(train, labels, held_out)
    if test is not None:
        plans["test"] = SplitPlan(test, test.labels, np.ones(len(test.labels), bool))
    settings = {
        name: getattr(config, name)
        for name in ("dataset", "noise", "noise_level", "noise_seed", "validation_fraction")
    }
    settings |= {"train_examples": config.train_examples} if config.train_examples else {}
    builder_config = NoisyLabelsConfig(
        name=path.parent.name,
        settings=settings,
        class_names=list(source.class_names),
        image_shape=source.image_shape,
        image_format=None if None in source.image_shape else "png",
        plans=plans,
    )
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        builder = NoisyLabels(config=builder_config, data_dir=data_dir)
        builder.download_and_prepare()
    except (OSError, RuntimeError, tf.errors.OpError) as error:  # TFDS wraps what it meets
        full = os.strerror(errno.ENOSPC) in str(error)
        if not full and not isinstance(error, OSError):
            raise
        reason = "the disk is full" if full else error.strerror
        raise InputError(f"{path} can't be written: {reason}.") from error


def _noisy_labels(config: DataConfig, source: sources.Source, train: sources.SourceSplit):
    entry, _ = sources.get(config.dataset)
    given = noise.NoiseInputs(
        labels=train.labels,
        num_classes=len(source.class_names),
        noise_level=config.noise_level,
        seed=config.noise_seed,
        turns_into=source.asymmetric,
        noise_file=config.noise_file,
    )
    return entry.noise_kinds[config.noise].make(given)


def _cut(config, count):
    """Which examples are trained on, and which are kept for validation: two of `[count]`, bool."""
    size = config.train_examples or count
    if size > count:
        raise InputError(
            f"train_examples={size} is more than the {count} that dataset={config.dataset} has."
        )
    num_held_out = round(config.validation_fraction * size)
    if config.validation_fraction and not num_held_out:
        raise InputError(
            f"validation_fraction={config.validation_fraction} of {size} training examples "
            "is not one: choose a larger fraction."
        )
    # Another stream than the noise's own, so that the cut tells nothing of which labels are wrong.
    order = np.random.RandomState([config.noise_seed, 1]).permutation(count)
    taken, held_out = np.zeros(count, bool), np.zeros(count, bool)
    held_out[order[:num_held_out]] = True
    taken[order[num_held_out:size]] = True
    return taken, held_out

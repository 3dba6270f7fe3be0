"""Noisy splits by name: opens those that are prepared, and prepares those that are missing."""

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
from mentormix_tf.data.sources import users_csv, users_folder, users_own
from mentormix_tf.data.writer import MANIFEST, NoisyLabels, NoisyLabelsConfig, SplitPlan
from mentormix_tf.errors import InputError

__all__ = ["DEFAULT_LEVEL", "NoisySplits", "folder", "load", "load_split", "prepare", "resolve"]

_log = logging.getLogger(__name__)

DEFAULT_LEVEL = 0.4
_USERS_OWN = {"folder": users_folder.listing, "csv": users_csv.listing}


@dataclasses.dataclass(frozen=True)
class NoisySplits:
    """A prepared noisy split.

    Attributes:
        path: its folder.
        builder: TFDS builder with the splits train and, if the data set has them, validation and
            test.
        manifest: its settings, its measured noise and the sizes of its files.
    """

    path: epath.Path
    builder: tfds.core.DatasetBuilder
    manifest: dict[str, Any]

    @property
    def class_names(self) -> list[str]:
        """The name of each class."""
        features: Any = self.builder.info.features
        return features["label"].names

    @property
    def image_shape(self) -> tuple[int | None, int | None, int]:
        """`(height, width, channels)`; None for a side that varies between images."""
        features: Any = self.builder.info.features
        return features["image"].shape

    def __contains__(self, split: str) -> bool:
        return split in self.builder.info.splits

    def num_examples(self, split: str) -> int:
        """Returns the number of examples in a split."""
        return self.builder.info.splits[split].num_examples

    def steps_per_epoch(self, batch_size: int) -> int:
        """Returns the number of complete training batches in an epoch.

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
        """Makes the batches that the train command uses, for `fit` and `evaluate`.

        Batches of train never end and are reshuffled each epoch, so `fit` needs
        `steps_per_epoch`. Batches of other splits have each example once, in order; the last one
        is padded, with 0 in the column `weight`.

        Args:
            split: train, validation or test.
            batch_size: examples in a batch.
            seed: seed of the order and of the augmentation.
            augmentation: one of `augment.AUGMENTATIONS`, or "auto"; see `augment.get`.
            image_size: height and width in pixels; 0 for the images' own size, or 224 if that
                varies.
            columns: columns of a batch. The default is image `[batch, height, width, channels]`,
                float32 in [0, 255], and label, true_label and is_clean, `[batch]`, int64; methods
                that store values per example also need index, `[batch]`, int64, the example's
                position in its split.

        Returns:
            Batches as dicts from column to tensor.

        Raises:
            InputError: there is no such split, or train has fewer examples than `batch_size`.
        """
        if split not in self:
            choices = ", ".join(self.builder.info.splits)
            raise InputError(f"split={split} is not in {self.path}: choose one of {choices}.")
        how = augment.get(augmentation, self.image_shape)
        shape = augment.shown_shape(self.image_shape, image_size)
        if split == "train":
            return pipeline.train_batches(self, batch_size, seed, how, shape, columns=columns)
        return pipeline.eval_batches(self, split, batch_size, how, shape, columns=columns)

    def text(self) -> str:
        """Summarizes the split for the user in a few lines."""
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
    """Opens a data set with noisy labels, preparing it first if it is missing.

        split = load_split("cifar10", noise="symmetric", noise_level=0.4)
        model.fit(split.batches("train", 128), steps_per_epoch=split.steps_per_epoch(128))

    Args:
        dataset: name of the data set; see `DataConfig`.
        **settings: noise, noise_level, noise_seed and the other fields of `DataConfig`.

    Returns:
        The prepared split.

    Raises:
        InputError: the data or the settings can't be used.
        TypeError: `DataConfig` does not have one of the settings.
    """
    return prepare(DataConfig(dataset=dataset, **settings))


def resolve(config: DataConfig) -> DataConfig:
    """Fills in the default noise and level of a data set, and checks that the settings fit.

    Args:
        config: the settings, whose noise may be "" and whose noise_level may be None.

    Returns:
        The settings with noise and noise_level set; noise_level is None for noise without levels.

    Raises:
        InputError: the data set or the noise is unknown, or a setting does not apply to this noise.
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


def folder(config: DataConfig) -> epath.Path:
    """Returns the folder of a split, whose name has every setting that determines its labels.

    Args:
        config: the settings, as `resolve` returns them.
    """
    _, argument = sources.get(config.dataset)
    name = config.dataset
    family = config.dataset.partition(":")[0]
    if argument and family in _USERS_OWN:
        contents = users_own.fingerprint(_USERS_OWN[family](argument))
        name = f"{family}_{pathlib.Path(argument).expanduser().resolve().name}_{contents}"
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


def prepare(config: DataConfig, skip_bad_images: bool = False) -> NoisySplits:
    """Opens a noisy split, making it first unless it exists.

    A split is complete or missing, never half written: it is written to a temporary folder, which
    is renamed at the end.

    Args:
        config: which split.
        skip_bad_images: whether to leave out images that can't be decoded instead of failing.

    Returns:
        The prepared split.

    Raises:
        InputError: the data or the settings can't be used, or the disk is full.
    """
    config = resolve(config)
    path = folder(config)
    if not path.exists():
        _make(config, path, skip_bad_images)
    return load(path)


def load(path: epath.PathLike) -> NoisySplits:
    """Opens a prepared split after checking that its files have their original sizes.

    Args:
        path: its folder.

    Returns:
        The prepared split.

    Raises:
        InputError: the folder is not a prepared split, or a file is missing or has another size.
    """
    path = epath.Path(path)
    try:
        manifest = json.loads((path / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is not a prepared split, since its {MANIFEST} can't be read: delete the "
            "folder and prepare it again."
        ) from error
    for name, size in manifest["files"].items():
        found = (path / name).stat().length if (path / name).exists() else None
        if found != size:
            state = "is missing" if found is None else f"has {found} bytes"
            raise InputError(
                f"{path / name} {state}, but was written with {size} bytes: delete {path} and "
                "prepare it again."
            )
    return NoisySplits(path, tfds.builder_from_directory(path), manifest)


def _make(config: DataConfig, path: epath.Path, skip_bad_images: bool) -> None:
    """Writes a split, or waits for another process that is writing it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"data_dir={config.data_dir}: {path.parent} can't be created: {error.strerror}."
        ) from error
    with files.lock(path.parent):
        if not path.exists():
            _log.info("Preparing %s", path)
            for leftover in path.parent.glob("*incomplete*"):
                leftover.rmtree()
            _write(config, path, skip_bad_images)


def _write(config: DataConfig, path: epath.Path, skip_bad_images: bool) -> None:
    entry, argument = sources.get(config.dataset)
    data_dir = epath.Path(config.data_dir).expanduser()
    source = entry.load(config.noise, config.noise_level, str(data_dir), argument)
    train, test = source.train, source.test
    if source.check_images:
        most = config.max_image_pixels
        train = images.check(train, "train", skip_bad_images, most)
        test = test and images.check(test, "test", skip_bad_images, most)
        _check_none_lost(source, train)
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
    except (OSError, RuntimeError, tf.errors.OpError) as error:  # TFDS wraps OSErrors
        full = os.strerror(errno.ENOSPC) in str(error)
        if not full and not isinstance(error, OSError):
            raise
        reason = "the disk is full" if full else getattr(error, "strerror", None)
        raise InputError(f"{path} can't be written: {reason}.") from error


def _check_none_lost(source: sources.Source, train: sources.SourceSplit) -> None:
    """Raises an InputError if no image of a class can be decoded."""
    for label in np.setdiff1d(source.train.labels, train.labels):
        raise InputError(
            f"None of the training images of class {source.class_names[label]} can be decoded: "
            "replace them or remove the class."
        )


def _noisy_labels(
    config: DataConfig, source: sources.Source, train: sources.SourceSplit
) -> np.ndarray:
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


def _cut(config: DataConfig, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Chooses the examples to train on and those to hold out: two masks `[count]`, bool."""
    size = config.train_examples or count
    if size > count:
        raise InputError(
            f"train_examples={size} is more than the {count} that dataset={config.dataset} has."
        )
    num_held_out = round(config.validation_fraction * size)
    if config.validation_fraction and not num_held_out:
        raise InputError(
            f"validation_fraction={config.validation_fraction} of {size} training examples is "
            "less than one: choose a larger fraction."
        )
    # A random stream of its own, so that the cut says nothing about which labels are wrong.
    order = np.random.RandomState([config.noise_seed, 1]).permutation(count)
    taken, held_out = np.zeros(count, bool), np.zeros(count, bool)
    held_out[order[:num_held_out]] = True
    taken[order[num_held_out:size]] = True
    return taken, held_out

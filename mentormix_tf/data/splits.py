"""Noisy splits by name: opens those that are prepared, and prepares those that are missing."""

import contextlib
import errno
import functools
import hashlib
import io
import logging
import os
import pathlib
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath

from mentormix_tf import files
from mentormix_tf.config import DataConfig, codec
from mentormix_tf.data import (
    corrections,
    examples_file,
    images,
    instance_noise,
    noise,
    sources,
    verified_labels,
)
from mentormix_tf.data.beam_pipeline import BeamPipeline
from mentormix_tf.data.corrections import Corrections, LabeledSplit
from mentormix_tf.data.prepared import NoisySplits, load
from mentormix_tf.data.settings import resolve
from mentormix_tf.data.sources import users_csv, users_folder, users_own
from mentormix_tf.data.writer import NoisyLabels, NoisyLabelsConfig, SplitPlan
from mentormix_tf.errors import InputError

__all__ = ["NoisySplits", "folder", "load", "load_split", "prepare", "resolve"]

_log = logging.getLogger(__name__)

# What every manifest has of the settings.
_SETTINGS = ("dataset", "noise", "noise_level", "noise_seed", "validation_fraction")
_LONGEST_NAME = 255  # bytes that file systems allow
_USERS_OWN = {"folder": users_folder.listing, "csv": users_csv.listing}


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
        own = pathlib.Path(files.expanded(argument, family)).resolve().name
        name = f"{family}_{own}_{contents}"
    parts = [config.noise]
    if config.noise_level is not None:
        parts.append(_text(config.noise_level))
    if config.noise_file:
        parts.append(_hash(config.noise_file))
    parts.append(f"seed{config.noise_seed}")
    if config.validation_fraction:
        parts.append(f"val{_text(config.validation_fraction)}")
    if config.train_examples:
        parts.append(f"train{config.train_examples}")
    if config.verified_fraction is not None:
        parts.append(f"verified{_text(config.verified_fraction)}")
        if config.verified_classes:
            names = codec.serialize(config.verified_classes)
            parts.append(f"classes{hashlib.sha256(names.encode()).hexdigest()[:8]}")
        parts.append(f"seed{config.verified_seed}")
    if config.corrections:
        hashes = corrections.file_hashes(config.corrections)
        parts.append(f"corrected{hashlib.sha256(','.join(hashes).encode()).hexdigest()[:8]}")
    rest = "-".join(["", *parts])
    # The end of the name of a user's folder tells it from others.
    room = _LONGEST_NAME - len(rest.encode())
    name = re.sub(r"\W+", "_", name).encode()[-room:].decode(errors="ignore")
    root = files.expanded(config.data_dir, "data_dir")
    return root / NoisyLabels.name / f"{name}{rest}" / str(NoisyLabels.VERSION)


def _text(number: float) -> str:
    """A number as short as it can be written without becoming another one."""
    short = f"{number + 0.0:g}"  # + 0.0 turns -0.0 into 0.0
    return short if float(short) == number else repr(number)


def _hash(path: str) -> str:
    try:
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()[:8]
    except OSError as error:
        raise InputError(f"noise_file={path} can't be read: {error.strerror}.") from error


def prepare(
    config: DataConfig, skip_bad_images: bool = False, pipeline: BeamPipeline | None = None
) -> NoisySplits:
    """Opens a noisy split, making it first unless it exists.

    A split is complete or missing, never half written: it is written to a temporary folder, which
    is renamed at the end.

    Args:
        config: which split.
        skip_bad_images: whether to leave out images that can't be decoded instead of failing.
        pipeline: checks images and writes the split by Apache Beam; None for this process alone.

    Returns:
        The prepared split.

    Raises:
        InputError: the data or the settings can't be used, or the disk is full.
    """
    config = resolve(config)
    chosen = examples_file.read(config.examples_file) if config.examples_file else None
    path = folder(config)
    if not files.exists(path, "data_dir"):
        _make(config, path, skip_bad_images, pipeline)
    data = load(path)
    _check_settings(config, data)
    return data.with_examples_file(chosen) if chosen else data


def _optional_settings(config: DataConfig) -> dict[str, Any]:
    """What only some manifests have of the settings; None for what this one does not have."""
    samples = config.verified_fraction is not None
    return {
        "train_examples": config.train_examples,
        "verified_fraction": config.verified_fraction,
        "verified_classes": list(config.verified_classes) if samples else None,
        "verified_seed": config.verified_seed if samples else None,
    }


def _check_settings(config: DataConfig, data: NoisySplits) -> None:
    """Checks that a split is the one that its folder's name says."""
    wanted = {name: getattr(config, name) for name in _SETTINGS}
    wanted |= _optional_settings(config)
    for name, asked in wanted.items():
        stored = data.manifest.get(name)
        if name == "dataset":  # a user's own folder may be reached by another path
            asked, stored = (re.sub("^(folder|csv):.*", r"\1", str(t)) for t in (asked, stored))
        if asked != stored:
            raise InputError(
                f"{data.path} has a split with {name}={stored} instead of {asked}: delete the "
                "folder and prepare it again."
            )
    stored = [entry["file_sha256"] for entry in data.manifest.get("corrections", [])]
    if stored != corrections.file_hashes(config.corrections):
        raise InputError(
            f"{data.path} has a split with other corrections than {config.corrections}: delete the "
            "folder and prepare it again."
        )


def _make(
    config: DataConfig, path: epath.Path, skip_bad_images: bool, pipeline: BeamPipeline | None
) -> None:
    """Writes a split, or waits for another process that is writing it."""
    # Before anything is created, and before the source is read, which may take long.
    found = [corrections.read(each) for each in corrections.paths(config.corrections)]
    local = [] if files.is_remote(path) else [path.parent, *path.parent.parents]
    created = [folder for folder in local if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, tf.errors.OpError) as error:
        raise InputError(
            f"data_dir={config.data_dir}: {path.parent} can't be created: {files.reason(error)}."
        ) from error
    with files.lock(path.parent) as is_alone:
        if not path.exists():
            _log.info("Preparing %s", path)
            # Without locks, another process may be writing there.
            for leftover in path.parent.glob("*incomplete*") if is_alone else ():
                leftover.rmtree()
            try:
                _write(config, path, skip_bad_images, found, pipeline)
            except InputError:
                for folder in created:
                    with contextlib.suppress(OSError):  # it has something in it
                        os.rmdir(folder)
                raise


def _write(
    config: DataConfig,
    path: epath.Path,
    skip_bad_images: bool,
    corrected: list[Corrections],
    pipeline: BeamPipeline | None,
) -> None:
    entry, argument = sources.get(config.dataset)
    data_dir = files.expanded(config.data_dir, "data_dir")
    source = entry.load(config.noise, config.noise_level, str(data_dir), argument)
    checker = functools.partial(pipeline.bad_images, path.parent) if pipeline else images.bad_images
    train, test = source.train, source.test
    if source.check_images:
        most = config.max_image_pixels
        train = images.check(train, "train", skip_bad_images, most, checker)
        test = test and images.check(test, "test", skip_bad_images, most, checker)
        _check_none_lost(source, train)
    labels = _noisy_labels(config, source, train)
    taken, held_out = _cut(config, len(labels))
    parts = {"train": taken} | ({"validation": held_out} if held_out.any() else {})
    verified = _verified(config, source, train, labels, parts)
    split = LabeledSplit(source.class_names, train.ids, labels, parts, verified)
    for each in corrected:
        split = corrections.apply(each, split)
    plans = {
        name: SplitPlan(train, split.labels, kept, split.verified)
        for name, kept in split.parts.items()
    }
    if test is not None:
        plans["test"] = SplitPlan(test, test.labels, np.ones(len(test.labels), bool))
    settings = {name: getattr(config, name) for name in _SETTINGS}
    optional = _optional_settings(config).items()
    settings |= {name: value for name, value in optional if value is not None}
    settings |= {"corrections": list(split.applied)} if split.applied else {}
    builder_config = NoisyLabelsConfig(
        name=path.parent.name,
        settings=settings,
        class_names=list(source.class_names),
        image_shape=source.image_shape,
        image_format=None if None in source.image_shape else "png",
        plans=plans,
        pipeline=pipeline,
    )
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    try:
        builder = NoisyLabels(config=builder_config, data_dir=data_dir)
        # TFDS prints that it downloads something of unknown size, which it does not.
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare()
    except (OSError, RuntimeError, tf.errors.OpError) as error:  # TFDS wraps OSErrors
        if path.exists():  # where there are no locks, another process has finished it meanwhile
            return
        full = os.strerror(errno.ENOSPC) in str(error)
        if not full and not isinstance(error, OSError):
            raise
        reason = "the disk is full" if full else files.reason(error)
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
        pictures=lambda: _pictures(train),
        votes=train.votes,
    )
    return entry.noise_kinds[config.noise].make(given)


def _pictures(train: sources.SourceSplit) -> Iterator[np.ndarray]:
    for identifier, image in zip(train.ids, train.images, strict=True):
        try:
            yield images.shrunk(image, instance_noise.SIDE)
        except images.BadImage as error:
            raise InputError(
                f"noise=instance looks at the images, and {identifier} can't be decoded: {error}."
            ) from error


def _verified(
    config: DataConfig,
    source: sources.Source,
    train: sources.SourceSplit,
    labels: np.ndarray,
    parts: Mapping[str, np.ndarray],
) -> np.ndarray | None:
    """Which labels of the source were checked; None if none that is in a part was."""
    if train.verified is None:
        if config.verified_fraction is None:
            return None
        is_clean = SplitPlan(train, labels, parts["train"]).is_clean
        return verified_labels.sampled(config, source.class_names, labels, is_clean, parts["train"])
    if config.verified_fraction is not None:
        raise InputError(
            f"verified_fraction={config.verified_fraction} can't be set: dataset={config.dataset} "
            "says itself which labels were verified."
        )
    verified = verified_labels.after_noise(train.verified, train.labels, labels)
    used = np.any(list(parts.values()), axis=0)
    return verified if (verified[used] >= 0).any() else None


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
    if num_held_out == size:
        raise InputError(
            f"validation_fraction={config.validation_fraction} of {size} training examples leaves "
            "none to train on: choose a smaller fraction."
        )
    # A random stream of its own, so that the cut says nothing about which labels are wrong.
    order = np.random.RandomState([config.noise_seed, 1]).permutation(count)
    taken, held_out = np.zeros(count, bool), np.zeros(count, bool)
    held_out[order[:num_held_out]] = True
    taken[order[num_held_out:size]] = True
    return taken, held_out

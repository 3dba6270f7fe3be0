"""Any image classification data set of TensorFlow Datasets (TFDS), by `tfds:NAME`."""

import logging
import re
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from mentormix_tf.data.sources import cut
from mentormix_tf.data.sources.base import Source, SourceSplit
from mentormix_tf.data.sources.record_images import record_images
from mentormix_tf.errors import InputError

__all__ = ["READ_CONFIG", "is_prepared", "load", "prepared", "read", "source"]

_log = logging.getLogger(__name__)

READ_CONFIG = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)


def load(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads the training split and the test or validation split of the data set `argument`.

    Without a test or validation split whose labels are known, a fifth of the images of each class,
    drawn with a fixed seed, is kept for testing.

    Args: see `Entry.load`.

    Raises:
        InputError: the data set is unknown, can't be downloaded, or lacks a training split, images
            or labels.
    """
    builder = prepared(argument, data_dir)
    _check_features(builder, f"dataset=tfds:{argument}")
    train = _labeled(builder, "train")
    if train is None:
        raise InputError(
            f"dataset=tfds:{argument} has no split train with labels, only "
            f"{', '.join(builder.info.splits)}."
        )
    found = (_labeled(builder, split) for split in ("test", "validation"))
    test = next((split for split in found if split is not None), None)
    made = source(builder, train, test)
    if test is not None:
        return made
    held_out = cut.held_out(train.labels, len(made.class_names))
    return source(builder, train.where(~held_out), train.where(held_out))


def _check_features(builder: tfds.core.DatasetBuilder, name: str) -> None:
    features: Any = builder.info.features
    found = dict(features) if isinstance(features, tfds.features.FeaturesDict) else {}
    image, label = found.get("image"), found.get("label")
    if not isinstance(image, tfds.features.Image) or not isinstance(
        label, tfds.features.ClassLabel
    ):
        kinds = ", ".join(f"{key} ({type(value).__name__})" for key, value in found.items())
        raise InputError(
            f"{name} has the features {kinds or type(features).__name__}: an image (Image) and a "
            "label (ClassLabel) are needed."
        )
    if image.np_dtype != np.uint8:
        raise InputError(f"{name} has images of {image.np_dtype}: images of uint8 are needed.")


def _labeled(builder: tfds.core.DatasetBuilder, split: str) -> SourceSplit | None:
    """A split without the examples whose label is unknown; None if nothing is left."""
    if split not in builder.info.splits:
        return None
    whole = read(builder, split)
    known = whole.labels >= 0
    if not known.all():
        _log.warning("Left out %d images of %s without a label.", (~known).sum(), split)
    return whole.where(known) if known.any() else None


def is_prepared(name: str, data_dir: str) -> bool:
    """Whether TFDS has already prepared a data set, so that its original files are not needed."""
    return _builder(name, data_dir).data_path.exists()


def prepared(name: str, data_dir: str, config_text: str = "") -> tfds.core.DatasetBuilder:
    """Returns the TFDS builder of a data set, which it downloads and prepares if necessary.

    Args:
        name: name of the data set, followed by its configuration if it has several.
        data_dir: the data_dir of TFDS.
        config_text: advice for the user on files that must be downloaded by hand, added to the
            error message.

    Raises:
        InputError: the data set is unknown, or can't be downloaded or prepared.
    """
    builder = _builder(name, data_dir)
    try:
        builder.download_and_prepare()
    except Exception as error:  # the network, the disk or the builder may raise anything
        reason, advice = _first_line(error), f" {config_text}" if config_text else ""
        raise InputError(
            f"dataset={name} can't be prepared in {builder.data_dir}: {reason}.{advice}"
        ) from error
    return builder


def _builder(name: str, data_dir: str) -> tfds.core.DatasetBuilder:
    """The builder of a data set that TFDS has the code of.

    `tfds.builder` would also read data sets without their code, and import what their files name.
    """
    parts = re.fullmatch(r"([a-z]\w*)(?:/([\w.+-]+))?(?::([\w.*]+))?", name, re.ASCII)
    if not parts:
        raise InputError(
            f"dataset=tfds:{name} is not a name of TensorFlow Datasets: use NAME, NAME/CONFIG or "
            "NAME:VERSION."
        )
    try:
        make: Any = tfds.builder_cls(parts[1])
    except tfds.core.DatasetNotFoundError as error:
        raise InputError(f"dataset={name} is not a data set of TensorFlow Datasets.") from error
    try:
        return make(data_dir=data_dir, config=parts[2], version=parts[3])
    except Exception as error:  # builders check their configuration and version as they like
        raise InputError(f"dataset={name} can't be read: {_first_line(error)}.") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0].rstrip(".")


def source(
    builder: tfds.core.DatasetBuilder,
    train: SourceSplit,
    test: SourceSplit | None,
    **kwargs: Any,
) -> Source:
    """Makes a `Source` with the class names and the image shape of a TFDS builder.

    Args:
        builder: the builder of a prepared data set.
        train: training split.
        test: test split, if any.
        **kwargs: other fields of `Source`.
    """
    features: Any = builder.info.features
    return Source(features["label"].names, train, test, features["image"].shape, **kwargs)


def read(
    builder: tfds.core.DatasetBuilder,
    split: str,
    label: str = "label",
    true_label: str | None = None,
) -> SourceSplit:
    """Reads the labels of a TFDS split; its images are read on demand and stay encoded.


    Args:
        builder: the builder of a prepared data set.
        split: name of the split.
        label: name of the feature with the labels.
        true_label: name of the feature with the true labels, if it is a different one.

    Raises:
        InputError: the data set is stored in other files than TFRecords.
    """
    features: Any = builder.info.features
    stored: Any = builder.info.file_format
    if stored.value != "tfrecord":
        raise InputError(
            f"dataset=tfds:{builder.name} is stored as {stored.value} in {builder.data_dir}: "
            "delete that folder, and it is prepared again as TFRecords."
        )
    columns = {label, *({true_label} if true_label else ()), *({"id"} & set(features))}
    rows = builder.as_dataset(
        split=split,  # pyright: ignore[reportCallIssue]  # hidden by a decorator of TFDS
        decoders=tfds.decode.PartialDecoding({name: True for name in columns}),
        read_config=READ_CONFIG,
    )
    batches = list(rows.batch(10_000).as_numpy_iterator())
    values = {name: np.concatenate([batch[name] for batch in batches]) for name in columns}
    ids = [f"{split}_{i:07d}" for i in range(len(values[label]))]
    if "id" in values:
        own = [i.decode() if isinstance(i, bytes) else str(i) for i in values["id"].tolist()]
        ids = own if len(set(own)) == len(own) else ids
    images = record_images(builder.info.splits[split].filepaths)
    return SourceSplit(ids, values[label], images, values[true_label] if true_label else None)

"""Any image classification data set of TensorFlow Datasets (TFDS), by `tfds:NAME`."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from mentormix_tf.data.sources.base import Source, SourceSplit
from mentormix_tf.errors import InputError

__all__ = ["READ_CONFIG", "is_prepared", "load", "prepared", "read", "source"]

READ_CONFIG = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)


def load(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads the training split and the test or validation split of the data set `argument`.

    Args: see `Entry.load`.

    Raises:
        InputError: the data set is unknown, can't be downloaded, or lacks a training split, images
            or labels.
    """
    builder = prepared(argument, data_dir)
    features: Any = builder.info.features
    test = next((s for s in ("test", "validation") if s in builder.info.splits), None)
    if "train" not in builder.info.splits:
        raise InputError(
            f"dataset=tfds:{argument} has no split train, only {', '.join(builder.info.splits)}."
        )
    if not {"image", "label"} <= set(features):
        raise InputError(
            f"dataset=tfds:{argument} has the features {', '.join(features)}: an image and a label "
            "are needed."
        )
    return source(builder, read(builder, "train"), read(builder, test) if test else None)


def is_prepared(name: str, data_dir: str) -> bool:
    """Whether TFDS has already prepared a data set, so that its original files are not needed."""
    return tfds.builder(name, data_dir=data_dir).data_path.exists()


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
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        raise InputError(f"dataset={name} is not a data set of TensorFlow Datasets.") from error
    try:
        builder.download_and_prepare()
    except Exception as error:  # the network, the disk or the builder may raise anything
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise InputError(
            f"dataset={name} can't be prepared in {builder.data_dir}: {reason}. {config_text}"
        ) from error
    return builder


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
    """
    features: Any = builder.info.features
    columns = {label, *({true_label} if true_label else ()), *({"id"} & set(features))}
    rows = builder.as_dataset(
        split=split,  # pyright: ignore[reportCallIssue]  # hidden by a decorator of TFDS
        decoders=tfds.decode.PartialDecoding({name: True for name in columns}),
        read_config=READ_CONFIG,
    )
    batches = list(rows.batch(10_000).as_numpy_iterator())
    values = {name: np.concatenate([batch[name] for batch in batches]) for name in columns}
    if "id" in values:
        ids = [identifier.decode() for identifier in values["id"]]
    else:
        ids = [f"{split}_{i:07d}" for i in range(len(values[label]))]

    def images() -> Iterator[bytes]:
        encoded = builder.as_dataset(
            split=split,  # pyright: ignore[reportCallIssue]
            decoders=tfds.decode.PartialDecoding(
                {"image": True}, decoders={"image": tfds.decode.SkipDecoding()}
            ),
            read_config=READ_CONFIG,
        )
        return (row["image"] for row in encoded.as_numpy_iterator())

    return SourceSplit(ids, values[label], images, values[true_label] if true_label else None)

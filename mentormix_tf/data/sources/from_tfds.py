"""Any image classification set of TensorFlow Datasets (TFDS), by `tfds:NAME`."""

import numpy as np
import tensorflow_datasets as tfds

from mentormix_tf.data.sources.base import Source, SourceSplit
from mentormix_tf.errors import InputError

READ_CONFIG = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)


def load(noise, noise_level, data_dir, argument):
    """The training split, and the test or validation split, of the TFDS data set `argument`."""
    builder = prepared(argument, data_dir)
    test = next((s for s in ("test", "validation") if s in builder.info.splits), None)
    if "train" not in builder.info.splits:
        raise InputError(
            f"dataset=tfds:{argument} has no split train, only {', '.join(builder.info.splits)}."
        )
    if not {"image", "label"} <= set(builder.info.features):
        raise InputError(
            f"dataset=tfds:{argument} has the features {', '.join(builder.info.features)}: "
            "an image and a label are needed."
        )
    return source(builder, read(builder, "train"), test and read(builder, test))


def is_prepared(name, data_dir):
    """Whether TFDS has made the data set already: what it was made of is then not needed."""
    return tfds.builder(name, data_dir=data_dir).data_path.exists()


def prepared(name, data_dir, config_text=""):
    """A TFDS builder whose files are there, downloaded if need be.

    Args:
        name: name of the data set, with its configuration if it has some.
        data_dir: TFDS's data_dir.
        config_text: what to tell the user of files that must be downloaded by hand.

    Raises:
        InputError: the data set is not known, or can't be downloaded.
    """
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        raise InputError(f"dataset={name} is no data set of TensorFlow Datasets.") from error
    try:
        builder.download_and_prepare()
    except Exception as error:  # whatever the network, the disk or the builder came up with
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise InputError(
            f"dataset={name} can't be prepared in {builder.data_dir}: {reason}. {config_text}"
        ) from error
    return builder


def source(builder, train, test, **kwargs):
    """A `Source` with the class names and the image shape that a TFDS builder knows."""
    features = builder.info.features
    return Source(features["label"].names, train, test, features["image"].shape, **kwargs)


def read(builder, split, label="label", true_label=None):
    """A TFDS split as a `SourceSplit`; its images stay encoded.

    Args:
        builder: TFDS builder.
        split: name of the split.
        label: feature that holds the labels.
        true_label: feature that holds the true labels, if others.
    """
    columns = {label, *({true_label} if true_label else ()), *({"id"} & set(builder.info.features))}
    rows = builder.as_dataset(
        split=split,
        decoders=tfds.decode.PartialDecoding({name: True for name in columns}),
        read_config=READ_CONFIG,
    )
    batches = list(rows.batch(10_000).as_numpy_iterator())
    values = {name: np.concatenate([batch[name] for batch in batches]) for name in columns}
    if "id" in values:
        ids = [identifier.decode() for identifier in values["id"]]
    else:
        ids = [f"{split}_{i:07d}" for i in range(len(values[label]))]

    def images():
        encoded = builder.as_dataset(
            split=split,
            decoders=tfds.decode.PartialDecoding(
                {"image": True}, decoders={"image": tfds.decode.SkipDecoding()}
            ),
            read_config=READ_CONFIG,
        )
        return (row["image"] for row in encoded.as_numpy_iterator())

    return SourceSplit(ids, values[label], images, values[true_label] if true_label else None)

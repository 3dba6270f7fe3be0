"""What a classifier says of a prepared split."""

import dataclasses

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tqdm import tqdm

from mentormix_tf.data import pipeline
from mentormix_tf.errors import InputError
from mentormix_tf.metrics import classification


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Predictions and what is right, `[n]` each, named as in `measures`."""

    label: np.ndarray
    predicted: np.ndarray
    rank: np.ndarray
    confidence: np.ndarray


def score(classify_encoded, class_names, data, split, true_labels=False, batch_size=100):
    """Classifies the images of a split.

    Args:
        classify_encoded: function of encoded images `[batch]`, string, to a dict with `scores`
            `[batch, num_classes]`: a `Classifier`'s, or a SavedModel's signature.
        class_names: the names of the classes that it gives scores for.
        data: `NoisySplits`, whose class names are among these.
        split: name of the split, or of several, joined by "+".
        true_labels: whether to compare with the true labels, and leave out images whose true label
            is not known, rather than with those that training sees.
        batch_size: images that are classified at once.

    Returns:
        `Predictions`, whose classes are positions in `class_names`.

    Raises:
        InputError: there is no such split, or no label to compare with; the split has another
            class; or a file or an image is damaged.
    """
    splits = list(data.builder.info.splits)
    if not set(split.split("+")) <= set(splits):
        raise InputError(f"split={split} is not in {data.path}: choose one of {', '.join(splits)}.")
    foreign = [name for name in data.class_names if name not in class_names]
    if foreign:
        raise InputError(
            f"{data.path} has the class {foreign[0]}, which the network does not know: its classes "
            f"are {', '.join(class_names[:10])}{', ...' if len(class_names) > 10 else ''}."
        )
    positions = np.array([list(class_names).index(name) for name in data.class_names])
    column = "true_label" if true_labels else "label"
    skip = {"image": tfds.decode.SkipDecoding()}
    examples = data.builder.as_dataset(split=split, decoders=skip)
    if true_labels:
        examples = examples.filter(lambda example: example[column] >= 0)
    batches = examples.batch(batch_size).prefetch(tf.data.AUTOTUNE)
    found = []
    try:
        with tqdm(desc=f"Classifying {split}", unit=" images", disable=None) as bar:
            for batch in batches:
                scores = classify_encoded(batch["image"])["scores"].numpy()
                label = positions[batch[column].numpy()]
                rank = classification.label_rank(scores, label)
                found.append((label, scores.argmax(axis=1), rank, scores.max(axis=1)))
                bar.update(len(label))
    except tf.errors.DataLossError as error:
        raise pipeline.damage(data) from error
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"{data.path}: an image of {split} can't be decoded; python -m mentormix_tf.doctor "
            "says which."
        ) from error
    if not found:
        raise InputError(f"split={split} of {data.path} has no example whose {column} is known.")
    return Predictions(*(np.concatenate(column) for column in zip(*found, strict=True)))

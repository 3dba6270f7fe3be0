"""Classifies the examples of a prepared split."""

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from mentormix_tf.data import examples
from mentormix_tf.data.splits import NoisySplits
from mentormix_tf.errors import InputError
from mentormix_tf.metrics import classification
from mentormix_tf.metrics.predictions import Predictions

__all__ = ["score"]


def score(
    classify_encoded: Callable[[tf.Tensor], Mapping[str, tf.Tensor]],
    class_names: Sequence[str],
    data: NoisySplits,
    split: str,
    true_labels: bool = False,
    batch_size: int = 100,
) -> Predictions:
    """Classifies the images of a split.

    Args:
        classify_encoded: maps encoded images `[batch]`, string, to a dict with `scores` `[batch,
            num_classes]`, float32, probabilities: a `Classifier`'s, or a SavedModel's signature.
        class_names: the names of the classes, in the order of the scores.
        data: a prepared split, whose class names are among these.
        split: name of the split, or of several, joined by "+".
        true_labels: whether `label` is the true label, rather than the label that training sees.
            Images whose true label is unknown are then omitted.
        batch_size: images per batch.

    Returns:
        The predictions, whose classes are positions in `class_names`. A loss is infinite where the
        probability of the label is 0 in float32.

    Raises:
        InputError: there is no such split, none of its labels is known, it has a class that is not
            in `class_names`, or a file or an image is damaged.
    """
    splits, parts = list(data.builder.info.splits), split.split("+")
    if not set(parts) <= set(splits):
        raise InputError(f"split={split} is not in {data.path}: choose one of {', '.join(splits)}.")
    if len(set(parts)) < len(parts):
        raise InputError(f"split={split} names a split twice, which would count its images twice.")
    foreign = [name for name in data.class_names if name not in class_names]
    if foreign:
        raise InputError(
            f"{data.path} has the class {foreign[0]}, which the network does not know: its classes "
            f"are {', '.join(class_names[:10])}{', ...' if len(class_names) > 10 else ''}."
        )
    positions = np.array([list(class_names).index(name) for name in data.class_names])
    column = "true_label" if true_labels else "label"
    parts = [examples.stored(data, name) for name in split.split("+")]
    whole = functools.reduce(lambda one, other: one.concatenate(other), parts)
    if true_labels:
        whole = whole.filter(lambda example: example[column] >= 0)
    batches = whole.batch(batch_size).prefetch(tf.data.AUTOTUNE)
    found = []
    # How many true labels are known is found out on the way.
    total = None if true_labels else sum(data.num_examples(name) for name in split.split("+"))
    bar = tqdm(desc=f"Classifying {split}", total=total, unit=" images", disable=None)
    with bar, examples.decoding(data, split):
        for batch in batches:
            scores = classify_encoded(batch["image"])["scores"].numpy()
            found.append(_predictions(scores, batch, column, positions))
            bar.update(len(scores))
    if not found:
        raise InputError(f"split={split} of {data.path} has no example whose {column} is known.")
    return Predictions(
        **{name: np.concatenate([part[name] for part in found]) for name in found[0]}
    )


def _predictions(scores, batch, column, positions):
    """The fields of `Predictions` for a batch, a dict.

    Args:
        scores: `[batch, num_classes]`, float32, probabilities.
        batch: examples, a dict of tensors.
        column: the column to compare predictions with, label or true_label.
        positions: `[the split's classes]`, int64, the position of each among the scores.
    """
    label = positions[batch[column].numpy()]
    true_label = batch["true_label"].numpy()
    probability = np.take_along_axis(scores, label[:, None], axis=1)[:, 0]
    with np.errstate(divide="ignore"):
        loss = 0.0 - np.log(probability)  # -log would write a loss of 0 as -0.0
    return {
        "id": batch["id"].numpy(),
        "label": label,
        "true_label": np.where(true_label < 0, -1, positions[true_label]),
        "is_clean": batch["is_clean"].numpy(),
        "predicted": scores.argmax(axis=1),
        "confidence": scores.max(axis=1),
        "rank": classification.label_rank(scores, label),
        "loss": loss,
    }

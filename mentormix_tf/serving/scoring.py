"""Predicts the examples of a prepared split."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from tqdm import tqdm

from mentormix_tf.data import pipeline
from mentormix_tf.data.splits import NoisySplits
from mentormix_tf.errors import InputError
from mentormix_tf.metrics import classification
from mentormix_tf.metrics.predictions import Predictions


def score(
    classify_encoded: Callable,
    class_names: Sequence[str],
    data: NoisySplits,
    split: str,
    true_labels: bool = False,
    batch_size: int = 100,
) -> Predictions:
    """Classifies the images of a split.

    Args:
        classify_encoded: function of encoded images `[batch]`, string, to a dict with `scores`
            `[batch, num_classes]`: a `Classifier`'s, or a SavedModel's signature.
        class_names: the names of the classes that it gives scores for.
        data: a prepared split, whose class names are among these.
        split: name of the split, or of several, joined by "+".
        true_labels: whether `label` is the true label, and images whose true label is not known
            are left out, rather than the label that training sees.
        batch_size: images that are classified at once.

    Returns:
        The predictions, in which a class is its position in `class_names`. A loss is infinite where
        the probability of the label is 0 in float32.

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
                found.append(_predictions(scores, batch, column, positions))
                bar.update(len(scores))
    except tf.errors.DataLossError as error:
        raise pipeline.damage(data) from error
    except tf.errors.InvalidArgumentError as error:
        raise InputError(
            f"{data.path}: an image of {split} can't be decoded; python -m mentormix_tf.doctor "
            "says which."
        ) from error
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
        column: what the predictions are compared with, label or true_label.
        positions: `[the split's classes]`, where each stands among the scores.
    """
    label = positions[batch[column].numpy()]
    true_label = batch["true_label"].numpy()
    probability = np.take_along_axis(scores, label[:, None], axis=1)[:, 0]
    with np.errstate(divide="ignore"):
        loss = 0.0 - np.log(probability)  # not -log: a loss of -0.0 would look odd
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

"""Labels in the forms that batches may have: class numbers, or one-hot rows."""

from typing import Any

import numpy as np
import tensorflow as tf

from mentormix_tf.errors import InputError

__all__ = ["check", "is_one_hot", "of", "one_hot", "smoothed"]


def is_one_hot(labels: tf.Tensor | np.ndarray) -> bool:
    """Whether labels are `[batch, classes]`; `[batch]` and `[batch, 1]` are class numbers."""
    return len(labels.shape) == 2 and labels.shape[-1] != 1


def of(validation_data: Any) -> tuple:
    """Returns the labels of `(images, labels)` as a tuple; an empty one for anything else."""
    return validation_data[1:2] if isinstance(validation_data, tuple) else ()


def one_hot(labels: tf.Tensor | np.ndarray, num_classes: int) -> tf.Tensor:
    """Converts labels to one-hot rows.

    Args:
        labels: class numbers `[batch]` or `[batch, 1]`, or rows `[batch, num_classes]`, which are
            returned as given.
        num_classes: number of classes.

    Returns:
        `[batch, num_classes]`, float32. The row of a class number out of range is NaN, so that the
        loss shows it.

    Raises:
        InputError: rows have another number of columns.
    """
    if is_one_hot(labels):
        _check_columns(labels.shape[-1], num_classes)
        return tf.cast(labels, tf.float32)
    labels = tf.reshape(tf.cast(labels, tf.int32), [-1])
    in_range = (labels >= 0) & (labels < num_classes)
    return tf.where(in_range[:, None], tf.one_hot(labels, num_classes), np.nan)


def smoothed(labels: tf.Tensor | np.ndarray, num_classes: int, smoothing: float) -> tf.Tensor:
    """Converts labels to probabilities, with a share spread evenly over all classes.

    Args:
        labels: see `one_hot`.
        num_classes: number of classes.
        smoothing: the share, in [0, 1).

    Returns:
        `[batch, num_classes]`, float32.
    """
    return (1.0 - smoothing) * one_hot(labels, num_classes) + smoothing / num_classes


def check(labels: Any, num_classes: int) -> None:
    """Checks an array of labels before training, since a compiled step could only turn to NaN.

    Args:
        labels: array-like, see `one_hot`.
        num_classes: number of classes.

    Raises:
        InputError: labels are not numbers or are out of range, or rows have another number of
            columns.
    """
    labels = np.asarray(labels)
    if is_one_hot(labels):
        _check_columns(labels.shape[-1], num_classes)
    elif not np.issubdtype(labels.dtype, np.number):
        raise InputError(f"Labels are {labels.dtype}, but must be integers, or one-hot.")
    elif labels.size and not (labels.min() >= 0 and labels.max() < num_classes):
        raise InputError(
            f"Labels run from {labels.min()} to {labels.max()}, but num_classes="
            f"{num_classes} needs them in [0, {num_classes})."
        )


def _check_columns(columns, num_classes):
    if columns not in (None, num_classes):
        raise InputError(
            f"One-hot labels have {columns} columns, but num_classes is {num_classes}."
        )

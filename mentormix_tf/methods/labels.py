"""Labels in the forms that batches may have: class numbers, or one row of a table for each."""

import numpy as np
import tensorflow as tf

from mentormix_tf.errors import InputError


def is_one_hot(labels):
    """Whether labels are `[batch, classes]`; `[batch]` and `[batch, 1]` are class numbers."""
    return len(labels.shape) == 2 and labels.shape[-1] != 1


def of(validation_data):
    """The labels of `(images, labels)`, as a tuple that is empty for anything else."""
    return validation_data[1:2] if isinstance(validation_data, tuple) else ()


def one_hot(labels, num_classes):
    """Labels as one row for each; NaN where out of range, so that it can't go unseen.

    Args:
        labels: `[batch]` or `[batch, 1]`, class numbers, or `[batch, num_classes]`.
        num_classes: number of classes.

    Returns:
        `[batch, num_classes]`, float32.

    Raises:
        InputError: another number of columns.
    """
    if is_one_hot(labels):
        _check_columns(labels.shape[-1], num_classes)
        return tf.cast(labels, tf.float32)
    labels = tf.reshape(tf.cast(labels, tf.int32), [-1])
    in_range = (labels >= 0) & (labels < num_classes)
    return tf.where(in_range[:, None], tf.one_hot(labels, num_classes), np.nan)


def smoothed(labels, num_classes: int, smoothing: float):
    """Labels as probabilities, of which a share is spread over all classes.

    Args:
        labels: as `one_hot` takes them.
        num_classes: number of classes.
        smoothing: the share, in [0, 1).

    Returns:
        `[batch, num_classes]`, float32.
    """
    return (1.0 - smoothing) * one_hot(labels, num_classes) + smoothing / num_classes


def check(labels, num_classes):
    """Refuses arrays of labels before training starts, where a batch could only say NaN.

    Args:
        labels: array, as `one_hot` takes it.
        num_classes: number of classes.

    Raises:
        InputError: labels that are no numbers, or out of range.
    """
    labels = np.asarray(labels)
    if is_one_hot(labels):
        _check_columns(labels.shape[-1], num_classes)
    elif not np.issubdtype(labels.dtype, np.number):
        raise InputError(f"Labels are {labels.dtype}: they must be integers, or one-hot.")
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

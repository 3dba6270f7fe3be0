"""Labels in the forms that batches may have: class numbers, or one-hot rows."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from mentormix_tf.errors import InputError

__all__ = [
    "BAD",
    "check",
    "check_smoothing",
    "checked",
    "is_one_hot",
    "of",
    "one_hot",
    "short_errors",
    "smoothed",
]

BAD = (
    "Labels must be integers from 0 to num_classes - 1, or rows of num_classes probabilities that "
    "sum to 1."
)


def is_one_hot(labels: tf.Tensor | np.ndarray) -> bool:
    """Whether labels are `[batch, classes]`; `[batch]` and `[batch, 1]` are class numbers."""
    return len(labels.shape) == 2 and labels.shape[-1] != 1


def of(validation_data: Any) -> tuple:
    """Returns the labels of `(images, labels)` as a tuple; an empty one for anything else."""
    return validation_data[1:2] if isinstance(validation_data, tuple) else ()


def one_hot(labels: tf.Tensor | np.ndarray, num_classes: int) -> tf.Tensor:
    """Converts labels to one-hot rows.

    Args:
        labels: class numbers `[batch]` or `[batch, 1]`, or rows `[batch, num_classes]` of
            probabilities, which are returned as given.
        num_classes: number of classes.

    Returns:
        `[batch, num_classes]`, float32. The row of a label that is not valid is NaN, so that the
        loss shows it.

    Raises:
        InputError: rows have another number of columns.
    """
    valid = _valid(labels, num_classes)
    if is_one_hot(labels):
        rows = tf.cast(labels, tf.float32)
    else:
        rows = tf.one_hot(tf.reshape(tf.cast(labels, tf.int32), [-1]), num_classes)
    return tf.where(valid[:, None], rows, np.nan)


def _valid(labels: tf.Tensor | np.ndarray, num_classes: int) -> tf.Tensor:
    """Which labels are classes, or probabilities of them: `[batch]`, bool."""
    kind = tf.as_dtype(labels.dtype)
    is_number = kind.is_integer or kind.is_floating or kind.is_bool
    if not is_number or len(labels.shape) not in (1, 2):
        raise InputError(f"Labels are {kind.name} of shape {tuple(labels.shape)}. {BAD}")
    if is_one_hot(labels):
        _check_columns(labels.shape[-1], num_classes)
        rows = tf.cast(labels, tf.float32)
        sums = tf.reduce_sum(rows, axis=-1)
        return tf.reduce_all(rows >= 0.0, axis=-1) & (tf.abs(sums - 1.0) < 1e-2)
    numbers = tf.reshape(tf.cast(labels, tf.float32), [-1])
    return (numbers >= 0) & (numbers < num_classes) & (numbers == tf.floor(numbers))


def smoothed(labels: tf.Tensor | np.ndarray, num_classes: int, smoothing: float) -> tf.Tensor:
    """Converts labels to probabilities, with a share spread evenly over all classes.

    Args:
        labels: see `one_hot`.
        num_classes: number of classes.
        smoothing: the share, below 1; below 0, the numbers are no probabilities, but sum to 1.

    Returns:
        `[batch, num_classes]`, float32.
    """
    return (1.0 - smoothing) * one_hot(labels, num_classes) + smoothing / num_classes


def check_smoothing(smoothing: float, method: str) -> None:
    """Checks that smoothed labels are probabilities, for a method that needs them to be.

    Args:
        smoothing: see `smoothed`.
        method: name of the method, for the error.

    Raises:
        InputError: it is below 0.
    """
    if smoothing < 0.0:
        raise InputError(
            f"label_smoothing={smoothing} must not be below 0 for {method}, whose losses must not "
            "be either."
        )


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
    if labels.dtype.kind not in "iufb":
        raise InputError(f"Labels are {labels.dtype}, but must be integers, or one-hot.")
    if is_one_hot(labels):
        _check_columns(labels.shape[-1], num_classes)
    elif labels.size and not (labels.min() >= 0 and labels.max() < num_classes):
        raise InputError(
            f"Labels run from {labels.min()} to {labels.max()}, but num_classes="
            f"{num_classes} needs them in [0, {num_classes})."
        )
    valid = _valid(labels, num_classes).numpy()
    if not valid.all():
        raise InputError(f"The label at position {np.argmin(valid)} is not one. {BAD}")


def checked(labels: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Returns the labels of a batch after checking them in a step; XLA leaves the check out.

    Args:
        labels: see `one_hot`.
        num_classes: number of classes.

    Raises:
        tf.errors.InvalidArgumentError: a label is not valid; `short_errors` shortens it.
    """
    checks = [tf.debugging.Assert(tf.reduce_all(_valid(labels, num_classes)), [BAD])]
    with tf.control_dependencies([check for check in checks if check is not None]):
        return tf.identity(labels)


@contextlib.contextmanager
def short_errors() -> Iterator[None]:
    """A context that turns TensorFlow's error of `checked` into a short one.

    Raises:
        InputError: a label is not valid.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if BAD not in str(error):
            raise
        raise InputError(BAD) from error


def _check_columns(columns, num_classes):
    if columns not in (None, num_classes):
        raise InputError(
            f"One-hot labels have {columns} columns, but num_classes is {num_classes}."
        )

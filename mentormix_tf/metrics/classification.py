"""Classification metrics: pure functions of NumPy arrays.

They share their arguments' names and shapes, with n at least 1:

- `label` `[n]`, integers: the right classes.
- `predicted` `[n]`, integers: the classes with the highest score.
- `rank` `[n]`, integers: how many classes score higher than the label.
- `confidence` `[n]`, floats in [0, 1]: the probability of the predicted class.
"""

from collections.abc import Sequence

import numpy as np
import sklearn.metrics
from numpy.typing import ArrayLike

__all__ = [
    "accuracy",
    "class_accuracies",
    "confusion_matrix",
    "confusion_rows",
    "expected_calibration_error",
    "label_rank",
    "top_k_accuracy",
]


def label_rank(scores: ArrayLike, label: ArrayLike) -> np.ndarray:
    """Counts the classes that score higher than the label; of equal scores the first is higher.

    Args:
        scores: `[n, num_classes]`, floats.
        label: `[n]`, integers in [0, num_classes).

    Returns:
        `[n]`, int64: 0 where the label has the highest score.
    """
    order = np.argsort(-np.asarray(scores), axis=1, kind="stable")
    return np.argmax(order == np.asarray(label)[:, None], axis=1)


def accuracy(label: ArrayLike, predicted: ArrayLike) -> float:
    """The fraction of predictions that are right, in [0, 1]."""
    return float(np.mean(np.equal(label, predicted)))


def top_k_accuracy(rank: ArrayLike, k: int) -> float:
    """The fraction of examples whose label is among the k highest scores, in [0, 1]."""
    return float(np.mean(np.less(rank, k)))


def expected_calibration_error(
    label: ArrayLike, predicted: ArrayLike, confidence: ArrayLike, num_bins: int = 15
) -> float:
    """The mean gap between confidence and accuracy.

    Confidences are sorted into bins of equal width, each including its upper end. The error is the
    mean of |accuracy - mean confidence| over the bins, weighted by their numbers of examples.
    Source: Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
    equation 3.

    Returns:
        The error, in [0, 1]; 0 is best.
    """
    confidence = np.asarray(confidence, np.float64)
    bins = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    gaps = np.bincount(bins, np.equal(label, predicted) - confidence)
    return float(np.abs(gaps).sum() / len(confidence))


def confusion_matrix(label: ArrayLike, predicted: ArrayLike, num_classes: int) -> np.ndarray:
    """Counts the examples with each pair of label and prediction.

    Returns:
        `[num_classes, num_classes]`, int64: a row for each label, a column for each prediction.
    """
    return sklearn.metrics.confusion_matrix(label, predicted, labels=np.arange(num_classes))


def class_accuracies(matrix: np.ndarray, class_names: Sequence[str]) -> dict[str, float | None]:
    """The accuracy on the examples of each class.

    Args:
        matrix: `[num_classes, num_classes]`, from `confusion_matrix`.
        class_names: a name for each class.

    Returns:
        Each class's accuracy by its name, in [0, 1]; None for a class without examples.
    """
    counts = matrix.sum(axis=1)
    return {
        name: float(right / count) if count else None
        for name, right, count in zip(class_names, matrix.diagonal(), counts, strict=True)
    }


def confusion_rows(matrix: np.ndarray, class_names: Sequence[str]) -> list[list]:
    """A confusion matrix as a table: a header, then a row for each label that starts with its name.

    Args:
        matrix: `[num_classes, num_classes]`, from `confusion_matrix`.
        class_names: a name for each class.
    """
    rows = zip(class_names, matrix.tolist(), strict=True)
    return [["label", *class_names], *([name, *counts] for name, counts in rows)]

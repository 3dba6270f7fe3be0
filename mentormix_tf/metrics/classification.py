"""What predictions are worth: pure functions of NumPy arrays.

Their arguments are named alike: `label` `[n]`, the right classes; `predicted` `[n]`, the classes
with the highest score; `rank` `[n]`, how many classes score higher than the label; `confidence`
`[n]`, the probability of the class that was predicted, in [0, 1]. All have n of at least 1.
"""

from collections.abc import Sequence

import numpy as np
import sklearn.metrics


def label_rank(scores, label):
    """How many classes score higher than the label; of equal scores the first class is higher.

    Args:
        scores: `[n, num_classes]`, floats.
        label: `[n]`, integers in [0, num_classes).

    Returns:
        `[n]`, int64: 0 where the label has the highest score.
    """
    order = np.argsort(-np.asarray(scores), axis=1, kind="stable")
    return np.argmax(order == np.asarray(label)[:, None], axis=1)


def accuracy(label, predicted):
    """The fraction of predictions that are right: a float in [0, 1]."""
    return float(np.mean(np.equal(label, predicted)))


def top_k_accuracy(rank, k):
    """The fraction of examples whose label is among the k highest scores: a float in [0, 1]."""
    return float(np.mean(np.less(rank, k)))


def expected_calibration_error(label, predicted, confidence, num_bins=15):
    """How far confidence and accuracy lie apart, in the mean over the examples.

    Confidences are sorted into bins of equal width, each with its upper end; a bin counts
    |accuracy - mean confidence|, by its share of the examples. Source: Guo, Pleiss, Sun and
    Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, equation 3.

    Returns:
        A float in [0, 1]; 0 is best.
    """
    confidence = np.asarray(confidence, np.float64)
    bins = np.clip(np.ceil(confidence * num_bins).astype(int) - 1, 0, num_bins - 1)
    gaps = np.bincount(bins, np.equal(label, predicted) - confidence)
    return float(np.abs(gaps).sum() / len(confidence))


def confusion_matrix(label, predicted, num_classes):
    """How many examples of each class were taken for each.

    Returns:
        `[num_classes, num_classes]`, int64: a row for each label, a column for each prediction.
    """
    return sklearn.metrics.confusion_matrix(label, predicted, labels=np.arange(num_classes))


def class_accuracies(matrix, class_names):
    """The accuracy on the examples of each class.

    Args:
        matrix: what `confusion_matrix` gave.
        class_names: a name for each class.

    Returns:
        Dict from name to a float in [0, 1]; None for a class without an example.
    """
    counts = matrix.sum(axis=1)
    return {
        name: float(right / count) if count else None
        for name, right, count in zip(class_names, matrix.diagonal(), counts, strict=True)
    }


def confusion_rows(matrix: np.ndarray, class_names: Sequence[str]) -> list[list]:
    """A confusion matrix as a table: a header, then a row for each label, with its class's name."""
    rows = zip(class_names, matrix.tolist(), strict=True)
    return [["label", *class_names], *([name, *counts] for name, counts in rows)]

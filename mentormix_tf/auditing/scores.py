"""How well an example's label fits what a network has learned: scores in [0, 1], low = suspicious.

The rule for `label_quality`, see `combined`, was chosen among others on digits and CIFAR-10 with
other noise seeds than those of docs/results/audit.
"""

from collections.abc import Mapping

import numpy as np
import scipy.special

__all__ = [
    "class_shares",
    "combined",
    "mean_of_known",
    "of_features",
    "of_predictions",
    "of_training",
]


def of_training(statistics: Mapping[str, np.ndarray], labels: np.ndarray) -> np.ndarray:
    """How the label fared against the likeliest other class, on average over training.

    With p the mean probability of the label in a half of training and q that of the likeliest other
    class, the mean of ½(1 + p - q), the normalized margin, and of p / (p + q); averaged over both
    halves. It is 0.5 where p = q.

    Without the probabilities of all classes, it is the geometric mean of p alone.

    Args:
        statistics: from `ExampleStatistics.read`.
        labels: `[n]`, integers in [0, num_classes).

    Returns:
        `[n]`, float64, in [0, 1]; NaN for an example that training has not seen.
    """
    if "probabilities" not in statistics:
        return mean_of_known(np.exp(statistics["log_probability"].astype(np.float64)), axis=1)
    others = statistics["probabilities"].astype(np.float64)
    rows = np.arange(len(labels))
    p = others[rows, :, labels]
    others[rows, :, labels] = -1.0
    q = others.max(axis=2)
    return mean_of_known(0.25 * (1.0 + p - q) + 0.5 * p / (p + q), axis=1)


def of_predictions(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The probability of the label (self-confidence).

    Args:
        probabilities: `[n, num_classes]`, of the trained network.
        labels: `[n]`, integers in [0, num_classes).

    Returns:
        `[n]`, float64, in [0, 1].
    """
    return probabilities[np.arange(len(labels)), labels].astype(np.float64)


def of_features(squared_distances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How much nearer the features are to the label's class than to the nearest other one.

    Args:
        squared_distances: `[n, num_classes]`, from `RobustGaussian.squared_distances`.
        labels: `[n]`, integers in [0, num_classes).

    Returns:
        `[n]`, float64, in [0, 1]: the logistic function of the difference of the squared
        distances, divided by the median of its absolute value. 0.5 where both are as far.
    """
    difference = _differences(squared_distances, labels)
    return scipy.special.expit(difference / _scale(difference))


def class_shares(squared_distances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Turns distances into shares of the classes, on the scale of `of_features`.

    Args:
        squared_distances, labels: see `of_features`.

    Returns:
        `[n, num_classes]`, float64; each row sums to 1.
    """
    scale = _scale(_differences(squared_distances, labels))
    return scipy.special.softmax(-squared_distances / scale, axis=1)


def combined(
    training: np.ndarray | None, confidence: np.ndarray | None, features: np.ndarray | None
) -> np.ndarray:
    """`label_quality`: the mean of the training score and the feature score.

    The self-confidence stands in for the training score of an example without one, and only there:
    a trained network may have memorized its labels.

    Args:
        training: `[n]`, from `of_training`; NaN where training has not seen an example.
        confidence: `[n]`, from `of_predictions`.
        features: `[n]`, from `of_features`.

    Returns:
        `[n]`, float64, in [0, 1]; 0.5 for an example without any score.
    """
    own = confidence if training is None else training
    if training is not None and confidence is not None:
        own = np.where(np.isnan(training), confidence, training)
    scores = [score for score in (own, features) if score is not None]
    return np.nan_to_num(mean_of_known(np.asarray(scores), axis=0), nan=0.5)


def mean_of_known(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean over an axis without NaN, float64; NaN where all values are NaN."""
    there = ~np.isnan(values)
    total = np.where(there, values, 0.0).sum(axis=axis, dtype=np.float64)
    count = there.sum(axis=axis)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _differences(squared_distances, labels):
    """Squared distance to the nearest other class less that to the label's class."""
    rows = np.arange(len(labels))
    others = squared_distances.copy()
    others[rows, labels] = np.inf
    difference = others.min(axis=1) - squared_distances[rows, labels]
    # Infinite if the label's class is the only one with examples.
    return np.nan_to_num(difference, nan=0.0)


def _scale(difference):
    return np.median(np.abs(difference)) or 1.0

"""Estimates how many labels are wrong, and which classes are confused."""

import dataclasses
import warnings

import numpy as np

__all__ = ["NoiseRate", "confident_classes", "estimate"]

_REPLICATES = 200  # of the bootstrap


@dataclasses.dataclass(frozen=True)
class NoiseRate:
    """An estimate of the share of wrong labels, in [0, 1], with 95 % intervals.

    The intervals are of the sampling of examples alone (a bootstrap); they don't include errors of
    the network, whose predictions the estimate believes where they are confident.

    Attributes:
        rate: the share of wrong labels in the whole training set.
        interval: `(low, high)` of `rate`.
        class_rates: `[num_classes]`, the share of wrong labels among those of each class; NaN for a
            class without examples.
        class_intervals: `[num_classes, 2]`.
        joint: `[num_classes, num_classes]`, the share of all examples with each given label (row)
            and each true class (column); sums to 1.
    """

    rate: float
    interval: tuple[float, float]
    class_rates: np.ndarray
    class_intervals: np.ndarray
    joint: np.ndarray

    def transition_matrix(self) -> np.ndarray:
        """Computes how often each true class gets each label.

        Returns:
            `[num_classes, num_classes]`, float64; row i belongs to true class i and sums to 1. A
            class that no example is believed to have keeps its label.
        """
        counts = self.joint.T.copy()
        counts[np.diag_indices(len(counts))] += counts.sum(axis=1) == 0.0
        return counts / counts.sum(axis=1, keepdims=True)


def confident_classes(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The class that each example confidently belongs to, whatever its label.

    A probability is confident if it is at least the mean probability that examples with this label
    have of it; of several confident classes the most probable counts. (Northcutt, Jiang and Chuang,
    "Confident Learning", JAIR 2021, section 3.1.)

    Args:
        labels: `[n]`, integers in [0, num_classes), the given labels.
        probabilities: `[n, num_classes]`, of a network that has not memorized the labels.

    Returns:
        `[n]`, int64; -1 for an example without a confident class.
    """
    num_classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels]
    counts = np.bincount(labels, minlength=num_classes)
    sums = np.bincount(labels, weights=own, minlength=num_classes)
    thresholds = np.divide(sums, counts, out=np.ones(num_classes), where=counts > 0)
    # A mean of equal values may exceed them in the last digit.
    confident = np.where(probabilities >= thresholds - 1e-9, probabilities, -1.0)
    return np.where(confident.max(axis=1) >= 0.0, confident.argmax(axis=1), -1)


def estimate(
    labels: np.ndarray, believed: np.ndarray, num_classes: int, seed: int = 0
) -> NoiseRate:
    """Estimates the noise rate from the classes that examples are believed to have.

    Args:
        labels: `[n]`, integers in [0, num_classes), the given labels.
        believed: `[n]`, integers in [0, num_classes); -1 for an example that is left out. The
            others with its label then stand for it.
        num_classes: number of classes.
        seed: seed of the bootstrap.
    """
    # The last column counts the examples that are left out.
    columns = np.where(believed < 0, num_classes, believed)
    cells = labels * (num_classes + 1) + columns
    counts = np.bincount(cells, minlength=num_classes * (num_classes + 1))
    joint = _joint(counts, num_classes)
    random, rates, class_rates = np.random.RandomState(seed), [], []
    for _ in range(_REPLICATES):
        drawn = random.multinomial(len(labels), counts / counts.sum())
        replicate = _joint(drawn, num_classes)
        rates.append(_rate(replicate))
        class_rates.append(_class_rates(replicate))
    low, high = np.quantile(rates, [0.025, 0.975])
    with warnings.catch_warnings():  # a class may be without examples
        warnings.simplefilter("ignore", RuntimeWarning)
        class_intervals = np.nanquantile(class_rates, [0.025, 0.975], axis=0).T
    return NoiseRate(
        _rate(joint), (float(low), float(high)), _class_rates(joint), class_intervals, joint
    )


def _joint(counts, num_classes):
    """The joint distribution of given and true class from the counts of each pair."""
    counts = counts.reshape(num_classes, num_classes + 1)
    given, pairs = counts.sum(axis=1), counts[:, :-1].astype(np.float64)
    # A label none of whose examples has a confident class is taken to be right.
    pairs[np.diag_indices(num_classes)] += pairs.sum(axis=1) == 0.0
    shares = pairs / pairs.sum(axis=1, keepdims=True)
    return shares * (given / given.sum())[:, None]


def _rate(joint):
    return max(0.0, float(1.0 - np.trace(joint)))


def _class_rates(joint):
    total = joint.sum(axis=1)
    right = np.divide(np.diag(joint), total, out=np.full(len(joint), np.nan), where=total > 0.0)
    return np.maximum(0.0, 1.0 - right)

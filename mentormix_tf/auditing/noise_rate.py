"""Estimates how many labels are wrong, and which classes are confused."""

import dataclasses

import numpy as np

__all__ = ["NoiseRate", "estimate"]

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


def estimate(labels: np.ndarray, probabilities: np.ndarray, seed: int = 0) -> NoiseRate:
    """Estimates the noise rate from a network's predictions.

    Args:
        labels: `[n]`, integers in [0, num_classes), the given labels.
        probabilities: `[n, num_classes]`, of a network that has not memorized the labels.
        seed: seed of the bootstrap.
    """
    num_classes = probabilities.shape[1]
    believed = _believed(labels, probabilities)
    cells = np.where(believed < 0, -1, labels * num_classes + believed)
    random, rates, class_rates = np.random.RandomState(seed), [], []
    counts = np.bincount(cells[cells >= 0], minlength=num_classes**2)
    joint = _joint(counts.reshape(num_classes, -1), np.bincount(labels, minlength=num_classes))
    for _ in range(_REPLICATES):
        drawn = random.randint(len(labels), size=len(labels))
        found, given = cells[drawn], labels[drawn]
        counts = np.bincount(found[found >= 0], minlength=num_classes**2)
        replicate = _joint(
            counts.reshape(num_classes, -1), np.bincount(given, minlength=num_classes)
        )
        rates.append(1.0 - np.trace(replicate))
        class_rates.append(_class_rates(replicate))
    low, high = np.quantile(rates, [0.025, 0.975])
    return NoiseRate(
        rate=float(1.0 - np.trace(joint)),
        interval=(float(low), float(high)),
        class_rates=_class_rates(joint),
        class_intervals=np.nanquantile(class_rates, [0.025, 0.975], axis=0).T,
        joint=joint,
    )


def _believed(labels, probabilities):
    return probabilities.argmax(axis=1)


def _joint(counts, given):
    """The joint distribution from counts of (given, believed) and of all given labels."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares * (given / given.sum())[:, None]


def _class_rates(joint):
    total = joint.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return 1.0 - np.diag(joint) / np.where(total > 0.0, total, np.nan)

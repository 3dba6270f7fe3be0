"""A robust Gaussian for each class, with one covariance for all.

Lee et al., "Robust Inference via Generative Classifiers for Handling Noisy Labels", ICML 2019,
section 3.2: the minimum covariance determinant, approximately, so that examples with wrong labels
don't distort the means.
"""

import dataclasses
from typing import Any

import numpy as np
import scipy.linalg
import sklearn.covariance

__all__ = ["RobustGaussian", "fit"]

_BLOCK = 10_000  # examples whose distances are computed at once


@dataclasses.dataclass(frozen=True)
class RobustGaussian:
    """Class means and their common precision.

    Attributes:
        means: `[num_classes, size]`, float64; NaN for a class without examples.
        precision: `[size, size]`, float64, the (pseudo-)inverse of the covariance.
    """

    means: np.ndarray
    precision: np.ndarray

    def squared_distances(self, features: np.ndarray) -> np.ndarray:
        """Computes squared Mahalanobis distances to the means of all classes.

        Args:
            features: `[examples, size]`.

        Returns:
            `[examples, num_classes]`, float64; infinite for a class without examples.
        """
        scaled = self.precision @ self.means.T
        constant = np.einsum("cd,dc->c", self.means, scaled)
        blocks = []
        for start in range(0, len(features), _BLOCK):
            z = np.asarray(features[start : start + _BLOCK], np.float64)
            own = np.einsum("nd,nd->n", z @ self.precision, z)
            blocks.append(own[:, None] - 2.0 * z @ scaled + constant)
        distances = np.maximum(np.concatenate(blocks), 0.0)
        return np.where(np.isnan(distances), np.inf, distances)


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    kept: float = 0.7,
    refinements: int = 1,
    seed: int = 0,
) -> RobustGaussian:
    """Fits the Gaussians to features of examples, some of whose labels are wrong.

    The first estimate is from a random share of each class, and each next one from the examples
    that are nearest to their class by the estimate before. (One refinement, and 0.7 of each class
    in both, as in the released code.)

    Args:
        features: `[examples, size]`.
        labels: `[examples]`, integers in [0, num_classes).
        num_classes: number of classes.
        kept: share of each class that an estimate is made from, in (0, 1].
        refinements: number of estimates after the first.
        seed: seed of the random share.

    Returns:
        The last estimate.
    """
    random = np.random.RandomState(seed)
    members = [np.flatnonzero(labels == label) for label in range(num_classes)]
    sizes = [max(1, round(kept * len(member))) for member in members]
    chosen = [
        random.permutation(member)[:size] for member, size in zip(members, sizes, strict=True)
    ]
    estimate = _estimate(features, chosen)
    for _ in range(refinements):
        chosen = [
            member[np.argsort(_to_own(estimate, features, member, label), kind="stable")[:size]]
            for label, (member, size) in enumerate(zip(members, sizes, strict=True))
        ]
        estimate = _estimate(features, chosen)
    return estimate


def _estimate(features, chosen):
    """Means of the chosen examples of each class, and the inverse of their common covariance."""
    means, centered = np.full([len(chosen), features.shape[1]], np.nan), []
    for label, member in enumerate(chosen):
        if len(member):
            z = np.asarray(features[member], np.float64)
            means[label] = z.mean(axis=0)
            centered.append(z - means[label])
    # Shrunk: with few examples for the features' size, each would otherwise be near its own mean.
    covariance, _ = sklearn.covariance.ledoit_wolf(np.concatenate(centered), assume_centered=True)
    precision: Any = scipy.linalg.pinvh(covariance)
    return RobustGaussian(means, precision)


def _to_own(estimate, features, member, label):
    if not len(member):
        return np.zeros(0)
    centered = np.asarray(features[member], np.float64) - estimate.means[label]
    return np.einsum("nd,nd->n", centered @ estimate.precision, centered)

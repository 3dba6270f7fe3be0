"""What a manifest says of the labels of a split: their hash, and how many are wrong."""

import hashlib
from collections.abc import Sequence

import numpy as np

__all__ = ["labels_sha256", "mean_disagreement", "realized_noise_rate"]


def labels_sha256(ids: Sequence[str], labels: Sequence[int] | np.ndarray) -> str:
    """Computes the SHA-256 over the lines "id label", sorted by id.

    Args:
        ids: n strings, each different.
        labels: `[n]`, integers.

    Returns:
        The digest as hexadecimal digits.
    """
    digest = hashlib.sha256()
    for identifier, label in sorted(zip(ids, labels, strict=True)):
        digest.update(f"{identifier} {label}\n".encode())
    return digest.hexdigest()


def realized_noise_rate(is_clean: np.ndarray) -> float | None:
    """Measures the fraction of labels that are wrong, among those known to be right or wrong.

    Args:
        is_clean: `[n]`, integers: 1 for right, 0 for wrong, -1 for unknown.

    Returns:
        A fraction in [0, 1], or None if all are unknown.
    """
    known = np.asarray(is_clean) >= 0
    return float(np.mean(is_clean[known] == 0)) if known.any() else None


def mean_disagreement(annotators: np.ndarray, disagreeing: np.ndarray) -> float:
    """Measures the share of people's labels that are not the one to train on.

    Args:
        annotators: `[n]`, integers, at least 1, the number of people for each example.
        disagreeing: `[n]`, integers, how many of them gave another label.

    Returns:
        The mean over the examples, in [0, 1].
    """
    return float(np.mean(disagreeing / annotators))

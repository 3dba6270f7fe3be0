"""Label noise, in pure NumPy.

Drawn from `numpy.random.RandomState`, whose streams NumPy has frozen: a seed gives the same noisy
labels on every machine and with every version.

Every kind is a function of (labels, num_classes, noise_level, seed) that returns new labels.
`realized_rate` and `transition_matrix` say what came out.
"""

import csv
import json
import pathlib

import numpy as np

from mentormix_tf.errors import InputError


def symmetric(labels, num_classes, noise_level, seed):
    """Flips exactly round(noise_level * n) labels, each to a random *incorrect* class.

    The paper's blue noise: choose the examples at random, then flip each independently.

    Args:
        labels: `[n]`, integers in [0, num_classes).
        num_classes: number of classes, at least 2.
        noise_level: fraction of labels to flip, in [0, 1].
        seed: integer seed.

    Returns:
        `[n]`, int64, the noisy labels.

    Raises:
        InputError: noise_level outside [0, 1].
    """
    noisy, chosen, random = _choose(labels, noise_level, seed)
    noisy[chosen] += random.randint(1, num_classes, size=len(chosen))
    noisy[chosen] %= num_classes
    return noisy


def uniform(labels, num_classes, noise_level, seed):
    """Redraws exactly round(noise_level * n) labels from all classes, the true one among them.

    What many other repositories call symmetric: a share 1 / num_classes of the chosen labels stays
    right, so 20 % on ten classes makes 18 % wrong.

    Args, returns and raises: see `symmetric`.
    """
    noisy, chosen, random = _choose(labels, noise_level, seed)
    noisy[chosen] = random.randint(num_classes, size=len(chosen))
    return noisy


def asymmetric(labels, num_classes, noise_level, seed, turns_into=None):
    """Flips a fraction noise_level of each class to one other class.

    Args:
        labels, num_classes, noise_level, seed: see `symmetric`.
        turns_into: `[num_classes]`, the class that each turns into, itself for a class that stays
            clean (which lowers the realised rate); left out, the next class.

    Returns:
        `[n]`, int64, the noisy labels; of each class, round(noise_level * its size) are flipped.

    Raises:
        InputError: noise_level outside [0, 1].
    """
    _check_level(noise_level)
    turns_into = np.roll(np.arange(num_classes), -1) if turns_into is None else turns_into
    random = np.random.RandomState(seed)
    labels = np.asarray(labels, np.int64)
    noisy = labels.copy()
    for label in range(num_classes):
        members = np.flatnonzero(labels == label)
        flipped = random.permutation(len(members))[: round(noise_level * len(members))]
        noisy[members[flipped]] = turns_into[label]
    return noisy


def from_matrix(labels, matrix, seed):
    """Draws each label from the row of its class in a transition matrix.

    Args:
        labels: `[n]`, integers in [0, num_classes).
        matrix: `[num_classes, num_classes]`, rows of probabilities: true class to given label.
        seed: integer seed.

    Returns:
        `[n]`, int64, the noisy labels.
    """
    labels = np.asarray(labels, np.int64)
    draws = np.random.RandomState(seed).random_sample(len(labels))
    noisy = np.empty_like(labels)
    for label, row in enumerate(matrix):
        members = labels == label
        # Without the last entry, so that rounding can't leave a draw past the last class.
        noisy[members] = np.searchsorted(np.cumsum(row)[:-1], draws[members], side="right")
    return noisy


def read_matrix(path, num_classes):
    """Reads a transition matrix from a .npy, .csv or .json file.

    Args:
        path: the file; a .csv has a line of comma-separated probabilities for each true class.
        num_classes: number of classes.

    Returns:
        `[num_classes, num_classes]`, float64.

    Raises:
        InputError: no such file, another shape, or rows that are not probabilities.
    """
    matrix = _read_array(path, np.float64)
    if matrix.shape != (num_classes, num_classes):
        raise InputError(
            f"noise_file={path} has shape {matrix.shape}: {num_classes} classes need a transition "
            f"matrix of {num_classes} x {num_classes}."
        )
    if not (np.all(matrix >= 0) and np.allclose(matrix.sum(axis=1), 1.0, atol=1e-4)):
        raise InputError(f"noise_file={path} must have rows of probabilities that sum to 1.")
    return matrix


def read_labels(path, count, num_classes):
    """Reads noisy labels from a .npy, .csv or .json file.

    Args:
        path: the file: an array, a label a line, or a list; in the order of the training split.
        count: how many there must be.
        num_classes: number of classes.

    Returns:
        `[count]`, int64.

    Raises:
        InputError: no such file, another number of labels, or one outside [0, num_classes).
    """
    labels = _read_array(path, np.int64).reshape(-1)
    if len(labels) != count:
        raise InputError(f"noise_file={path} has {len(labels)} labels for {count} examples.")
    if len(labels) and not (labels.min() >= 0 and labels.max() < num_classes):
        raise InputError(
            f"noise_file={path} has labels from {labels.min()} to {labels.max()}: they must lie "
            f"in [0, {num_classes})."
        )
    return labels


def realized_rate(labels, true_labels):
    """The fraction of labels that are wrong; examples whose true label is -1 don't count.

    Returns None where no true label is known.
    """
    known = np.asarray(true_labels) >= 0
    return float(np.mean(labels[known] != true_labels[known])) if known.any() else None


def transition_matrix(labels, true_labels, num_classes):
    """How often each true class got each label.

    Args:
        labels: `[n]`, integers.
        true_labels: `[n]`, integers, -1 where unknown: those don't count.
        num_classes: number of classes.

    Returns:
        `[num_classes, num_classes]`, float64; rows sum to 1, or are 0 for a class without examples.
    """
    known = np.asarray(true_labels) >= 0
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (true_labels[known], labels[known]), 1)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _check_level(noise_level):
    if not 0.0 <= noise_level <= 1.0:
        raise InputError(f"noise_level={noise_level} must lie in [0, 1].")


def _choose(labels, noise_level, seed):
    """A copy of the labels, the positions of exactly that share of them, and the generator."""
    _check_level(noise_level)
    random = np.random.RandomState(seed)
    noisy = np.array(labels, dtype=np.int64)
    return noisy, random.permutation(len(noisy))[: round(noise_level * len(noisy))], random


def _read_array(path, dtype):
    path = pathlib.Path(path)
    try:
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False).astype(dtype)
        if path.suffix == ".json":
            return np.array(json.loads(path.read_text()), dtype)
        if path.suffix == ".csv":
            rows = [row for row in csv.reader(path.read_text().splitlines()) if row]
            return np.array(rows, dtype)
    except (OSError, ValueError) as error:
        raise InputError(f"noise_file={path} can't be read: {error}.") from error
    raise InputError(f"noise_file={path} must be a .npy, .csv or .json file.")

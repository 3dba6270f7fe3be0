"""Label noise, in pure NumPy.

Drawn from `numpy.random.RandomState`, whose streams NumPy has frozen: a seed gives the same noisy
labels on every machine and with every version.

`NOISES` lists the kinds that can be added to any clean labels. To add one, write a function that
returns new labels and give it a line there. `realized_rate` and `transition_matrix` measure the
result.
"""

import csv
import dataclasses
import json
import os
import pathlib
from collections.abc import Callable

import numpy as np

from mentormix_tf.errors import InputError

# The noise levels of the paper's data sets (Table 1).
LEVELS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)


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


@dataclasses.dataclass(frozen=True)
class NoiseInputs:
    """What a kind of noise can use to make labels.

    Attributes:
        labels: `[n]`, int64 in [0, num_classes), the labels before noise.
        num_classes: number of classes.
        noise_level: fraction of the labels to make wrong, for kinds that take a level.
        seed: integer seed.
        turns_into: `[num_classes]`, the class that the data set's asymmetric noise turns each class
            into; None where it defines none.
        noise_file: the user's file, for kinds that take one.
    """

    labels: np.ndarray
    num_classes: int
    noise_level: float | None
    seed: int
    turns_into: np.ndarray | None = None
    noise_file: str | os.PathLike = ""


@dataclasses.dataclass(frozen=True)
class NoiseKind:
    """A kind of label noise.

    Attributes:
        description: what the labels are, in Markdown, for the docs.
        make: function from `NoiseInputs` to noisy labels, `[n]` int64; by default the labels stay
            as they are.
        takes_level: whether `noise_level` says how many labels are wrong.
        takes_file: whether the labels are made from a `noise_file`.
    """

    description: str
    make: Callable[[NoiseInputs], np.ndarray] = lambda given: given.labels
    takes_level: bool = False
    takes_file: bool = False


NOISES = {
    "symmetric": NoiseKind(
        "exactly round(level · n) examples flipped, each to a random *incorrect* class: the "
        "paper's blue noise",
        lambda given: symmetric(given.labels, given.num_classes, given.noise_level, given.seed),
        takes_level=True,
    ),
    "uniform": NoiseKind(
        "exactly round(level · n) examples redrawn from *all* classes: what other repositories "
        "often call symmetric. At 20 % on ten classes only 18 % end up wrong",
        lambda given: uniform(given.labels, given.num_classes, given.noise_level, given.seed),
        takes_level=True,
    ),
    "asymmetric": NoiseKind(
        "a fraction of each class, the level, flipped to one other class: CIFAR-10's usual pairs "
        "(truck → automobile, bird → airplane, deer → horse, cat ↔ dog; the other classes stay "
        "clean, so 40 % makes 20 % wrong), the next class of the same superclass on CIFAR-100, "
        "else the next class",
        lambda given: asymmetric(
            given.labels, given.num_classes, given.noise_level, given.seed, given.turns_into
        ),
        takes_level=True,
    ),
    "matrix": NoiseKind(
        "drawn from your transition matrix: `--noise_file=matrix.csv`, .npy or .json, a row for "
        "each true class",
        lambda given: from_matrix(
            given.labels, read_matrix(given.noise_file, given.num_classes), given.seed
        ),
        takes_file=True,
    ),
    "from_file": NoiseKind(
        "your list of labels, in the order of the training split: `--noise_file=labels.npy`, .csv "
        "or .json",
        lambda given: read_labels(given.noise_file, len(given.labels), given.num_classes),
        takes_file=True,
    ),
}


def names() -> str:
    """Lists the kinds of noise that can be added to any clean labels."""
    return ", ".join(NOISES)


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

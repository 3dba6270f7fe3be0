"""Label noise, in pure NumPy.

All draws come from `numpy.random.RandomState`, whose streams NumPy has frozen, so a seed gives the
same noisy labels on every machine and with every version of NumPy.

`NOISES` lists the kinds that can be added to any clean labels. To add one, write a function that
returns new labels and add an entry there. `realized_rate` and `transition_matrix` measure the
result.
"""

import dataclasses
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mentormix_tf.data import array_file
from mentormix_tf.data.annotators import Votes
from mentormix_tf.errors import InputError

__all__ = [
    "LEVELS",
    "NOISES",
    "NoiseInputs",
    "NoiseKind",
    "asymmetric",
    "check_level",
    "check_matrix",
    "from_matrix",
    "names",
    "read_labels",
    "read_matrix",
    "realized_rate",
    "symmetric",
    "transition_matrix",
    "uniform",
]

# The noise levels of the paper's data sets (Table 1).
LEVELS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)


def symmetric(labels: npt.ArrayLike, num_classes: int, noise_level: float, seed: int) -> np.ndarray:
    """Flips exactly round(noise_level * n) labels, each to a random *incorrect* class.

    This is the paper's blue noise: it chooses the examples at random, then flips each
    independently.

    Args:
        labels: `[n]`, integers in [0, num_classes).
        num_classes: number of classes, at least 2.
        noise_level: fraction of labels to flip, in [0, 1].
        seed: seed in [0, 2**32).

    Returns:
        `[n]`, int64, the noisy labels.

    Raises:
        InputError: noise_level is outside [0, 1], or there is one class.
    """
    if num_classes < 2:
        raise InputError("noise=symmetric needs at least two classes: there is no incorrect one.")
    noisy, chosen, random = _choose(labels, noise_level, seed)
    noisy[chosen] += random.randint(1, num_classes, size=len(chosen))
    noisy[chosen] %= num_classes
    return noisy


def uniform(labels: npt.ArrayLike, num_classes: int, noise_level: float, seed: int) -> np.ndarray:
    """Redraws exactly round(noise_level * n) labels from all classes, including the true one.

    Many other repositories call this symmetric. A fraction 1 / num_classes of the chosen labels
    stays correct, so 20 % on ten classes makes 18 % wrong.

    Args, returns and raises: see `symmetric`.
    """
    noisy, chosen, random = _choose(labels, noise_level, seed)
    noisy[chosen] = random.randint(num_classes, size=len(chosen))
    return noisy


def asymmetric(
    labels: npt.ArrayLike,
    num_classes: int,
    noise_level: float,
    seed: int,
    turns_into: np.ndarray | None = None,
) -> np.ndarray:
    """Flips a fraction noise_level of each class to one other class.

    Args:
        labels, num_classes, noise_level, seed: see `symmetric`.
        turns_into: `[num_classes]`, integers, the class that each class turns into; a class that
            turns into itself stays clean, which lowers the realized noise rate. Default: the next
            class.

    Returns:
        `[n]`, int64, the noisy labels, with round(noise_level * size) of each class flipped.

    Raises:
        InputError: noise_level is outside [0, 1].
    """
    check_level(noise_level)
    turns_into = np.roll(np.arange(num_classes), -1) if turns_into is None else turns_into
    random = np.random.RandomState(seed)
    labels = np.asarray(labels, np.int64)
    noisy = labels.copy()
    for label in range(num_classes):
        members = np.flatnonzero(labels == label)
        flipped = random.permutation(len(members))[: round(noise_level * len(members))]
        noisy[members[flipped]] = turns_into[label]
    return noisy


def from_matrix(labels: npt.ArrayLike, matrix: np.ndarray, seed: int) -> np.ndarray:
    """Draws each label from the row of its class in a transition matrix.

    Args:
        labels: `[n]`, integers in [0, num_classes).
        matrix: `[num_classes, num_classes]`; row i has the probabilities of the labels that an
            example of true class i can get.
        seed: seed in [0, 2**32).

    Returns:
        `[n]`, int64, the noisy labels.
    """
    labels = np.asarray(labels, np.int64)
    draws = np.random.RandomState(seed).random_sample(len(labels))
    noisy = np.empty_like(labels)
    for label, row in enumerate(matrix):
        members = labels == label
        # The last entry is left out so that rounding can't put a draw past the last class.
        noisy[members] = np.searchsorted(np.cumsum(row)[:-1], draws[members], side="right")
    return noisy


def read_matrix(
    path: str | os.PathLike, num_classes: int | None, setting: str = "noise_file"
) -> np.ndarray:
    """Reads a transition matrix from a .npy, .csv or .json file.

    Args:
        path: the file; a .csv has a line of comma-separated probabilities for each true class.
        num_classes: number of classes; None for any.
        setting: the flag that names the file, for errors.

    Returns:
        `[num_classes, num_classes]`, float64.

    Raises:
        InputError: the file can't be read, the matrix has another shape, or its rows are not
            probabilities.
    """
    matrix = array_file.read(path, setting)
    check_matrix(matrix, num_classes, f"{setting}={path}")
    return matrix


def check_matrix(matrix: np.ndarray, num_classes: int | None, name: str) -> None:
    """Checks that an array is a transition matrix.

    Args:
        matrix: the array.
        num_classes: number of classes; None for any.
        name: what it is called, for errors.

    Raises:
        InputError: it has another shape, or its rows are not probabilities.
    """
    if matrix.ndim != 2 or not matrix.size or len(set(matrix.shape)) != 1:
        raise InputError(
            f"{name} has shape {matrix.shape}, but a transition matrix has as many columns as rows."
        )
    if num_classes not in (None, len(matrix)):
        raise InputError(
            f"{name} has shape {matrix.shape}, but {num_classes} classes need a transition matrix "
            f"of {num_classes} x {num_classes}."
        )
    if not (np.all(matrix >= 0) and np.allclose(matrix.sum(axis=1), 1.0, atol=1e-4)):
        raise InputError(f"{name} must have rows of probabilities that sum to 1.")


def read_labels(path: str | os.PathLike, count: int, num_classes: int) -> np.ndarray:
    """Reads noisy labels from a .npy, .csv or .json file.

    Args:
        path: a .npy array, a .csv with one label per line, or a .json list, in the order of the
            training split.
        count: the number of labels that is required.
        num_classes: number of classes.

    Returns:
        `[count]`, int64.

    Raises:
        InputError: the file can't be read, has another number of labels, or has a label outside
            [0, num_classes).
    """
    labels = array_file.read(path, "noise_file")
    if labels.ndim != 1 and labels.shape[1:] != (1,):
        raise InputError(
            f"noise_file={path} has shape {labels.shape}: it needs one label for each example."
        )
    labels = labels.reshape(-1)
    if len(labels) != count:
        raise InputError(
            f"noise_file={path} has {len(labels)} labels for {count} examples: it needs one for "
            "each."
        )
    bad = np.flatnonzero((labels < 0) | (labels >= num_classes) | (labels != np.floor(labels)))
    if bad.size:
        raise InputError(
            f"noise_file={path} has the label {labels[bad[0]]:g} at position {bad[0]}: labels must "
            f"be integers in [0, {num_classes})."
        )
    return labels.astype(np.int64)


@dataclasses.dataclass(frozen=True)
class NoiseInputs:
    """The inputs from which a kind of noise makes labels.

    Attributes:
        labels: `[n]`, int64 in [0, num_classes), the labels before noise.
        num_classes: number of classes.
        noise_level: fraction of the labels to make wrong; None for kinds that take no level.
        seed: seed in [0, 2**32).
        turns_into: `[num_classes]`, integers, the class that the data set's asymmetric noise turns
            each class into; None if the data set does not define this.
        noise_file: the user's file, for kinds that take one.
        pictures: function without arguments that returns an iterator over the images, shrunk to
            `[height, width, 3]`, uint8, with sides of at most 32; for kinds that look at them.
        votes: the labels of several people for each example; for kinds that choose among them.
    """

    labels: np.ndarray
    num_classes: int
    noise_level: float | Any  # `Any` stands for None, which kinds that take a level never get
    seed: int
    turns_into: np.ndarray | None = None
    noise_file: str | os.PathLike = ""
    pictures: Callable[[], Iterator[np.ndarray]] = lambda: iter(())
    votes: Votes | Any = None  # `Any` stands for None, which kinds that choose never get


@dataclasses.dataclass(frozen=True)
class NoiseKind:
    """A kind of label noise.

    Attributes:
        description: how the labels are made, in Markdown, for the docs.
        make: function from `NoiseInputs` to noisy labels, `[n]`, int64; by default it returns the
            labels unchanged.
        takes_level: whether `noise_level` sets how many labels are wrong.
        takes_file: whether the labels are made from a `noise_file`.
    """

    description: str
    make: Callable[[NoiseInputs], np.ndarray] = lambda given: given.labels
    takes_level: bool = False
    takes_file: bool = False


def _instance_dependent(given: NoiseInputs) -> np.ndarray:
    from mentormix_tf.data import instance_noise  # and with it SciPy, which takes a while

    return instance_noise.instance_dependent(
        given.pictures(), given.labels, given.num_classes, given.noise_level, given.seed
    )


NOISES = {
    "symmetric": NoiseKind(
        "exactly round(level · n) examples flipped, each to a random *incorrect* class: the "
        "paper's blue noise",
        lambda given: symmetric(given.labels, given.num_classes, given.noise_level, given.seed),
        takes_level=True,
    ),
    "uniform": NoiseKind(
        "exactly round(level · n) examples redrawn from *all* classes, which other repositories "
        "often call symmetric; at 20 % on ten classes only 18 % end up wrong",
        lambda given: uniform(given.labels, given.num_classes, given.noise_level, given.seed),
        takes_level=True,
    ),
    "asymmetric": NoiseKind(
        "the fraction `noise_level` of each class flipped to one other class: the usual pairs on "
        "CIFAR-10 (truck → automobile, bird → airplane, deer → horse, cat ↔ dog; the other classes "
        "stay clean, so 40 % makes 20 % wrong), the next class of the same superclass on "
        "CIFAR-100, otherwise the next class",
        lambda given: asymmetric(
            given.labels, given.num_classes, given.noise_level, given.seed, given.turns_into
        ),
        takes_level=True,
    ),
    "pair_flip": NoiseKind(
        "the fraction `noise_level` of each class flipped to the next class, y + 1, on every data "
        "set, as in Co-teaching (Han et al. 2018); 45 % is the usual level",
        lambda given: asymmetric(
            given.labels, given.num_classes, given.noise_level, given.seed, turns_into=None
        ),
        takes_level=True,
    ),
    "instance": NoiseKind(
        "flipped by what is on the image (Xia et al. 2020): each example has its own flip rate, "
        "from a normal distribution around `noise_level`, and a random projection of its pixels "
        "chooses the wrong class",
        _instance_dependent,
        takes_level=True,
    ),
    "matrix": NoiseKind(
        "drawn from your transition matrix: `--noise_file=matrix.csv`, .npy or .json, with a row "
        "for each true class",
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
    "none": NoiseKind("unchanged: the labels as they are"),
}


def names() -> str:
    """Lists the kinds of noise that can be added to any clean labels, separated by commas."""
    return ", ".join(NOISES)


def realized_rate(labels: np.ndarray, true_labels: np.ndarray) -> float | None:
    """Measures the fraction of labels that are wrong.

    Args:
        labels: `[n]`, integers.
        true_labels: `[n]`, integers; -1 for unknown ones, which are not counted.

    Returns:
        A fraction in [0, 1], or None if no true label is known.
    """
    known = np.asarray(true_labels) >= 0
    return float(np.mean(labels[known] != true_labels[known])) if known.any() else None


def transition_matrix(labels: np.ndarray, true_labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Measures how often each true class got each label.

    Args:
        labels: `[n]`, integers in [0, num_classes).
        true_labels: `[n]`, integers; -1 for unknown ones, which are not counted.
        num_classes: number of classes.

    Returns:
        `[num_classes, num_classes]`, float64; row i belongs to true class i and sums to 1, or is 0
        if the class has no examples.
    """
    known = np.asarray(true_labels) >= 0
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (true_labels[known], labels[known]), 1)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def check_level(noise_level: float) -> None:
    """Checks a noise level.

    Raises:
        InputError: it is outside [0, 1].
    """
    if not 0.0 <= noise_level <= 1.0:
        raise InputError(f"noise_level={noise_level} must lie in [0, 1].")


def _choose(
    labels: npt.ArrayLike, noise_level: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.random.RandomState]:
    """A copy of the labels, the positions of the ones to change, and the random generator."""
    check_level(noise_level)
    random = np.random.RandomState(seed)
    noisy = np.array(labels, dtype=np.int64)
    return noisy, random.permutation(len(noisy))[: round(noise_level * len(noisy))], random

"""Labels of several people for one image: which to train on, and how many people disagree.

`Votes` are the labels that each example was given, in the order of the file. All draws come from
`numpy.random.RandomState`, as in `noise.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["Votes", "disagreeing", "drawn", "majority", "most_frequent"]

Votes = Sequence[Sequence[int]]


def most_frequent(votes: Sequence[int]) -> list[int]:
    """Lists the labels that most people gave to an example, more than one if there is a tie.

    Args:
        votes: the labels of one example, at least one.
    """
    labels, counts = np.unique(votes, return_counts=True)
    return labels[counts == counts.max()].tolist()


def majority(votes: Votes, seed: int) -> np.ndarray:
    """Takes the label that most people gave to each example, and draws among equals.

    Args:
        votes: the labels of n examples.
        seed: seed in [0, 2**32).

    Returns:
        `[n]`, int64.
    """
    return _chosen(votes, seed, most_frequent)


def drawn(votes: Votes, seed: int) -> np.ndarray:
    """Draws one person's label for each example.

    Args, returns: see `majority`.
    """
    return _chosen(votes, seed, list)


def disagreeing(votes: Votes, labels: np.ndarray) -> np.ndarray:
    """Counts the people who gave an example another label than the one to train on.

    Args:
        votes: the labels of n examples.
        labels: `[n]`, integers, the labels to train on.

    Returns:
        `[n]`, int64.
    """
    pairs = zip(votes, labels.tolist(), strict=True)
    return np.array([sum(vote != label for vote in own) for own, label in pairs], np.int64)


def _chosen(votes: Votes, seed: int, candidates: Callable[[Any], list[int]]) -> np.ndarray:
    """One of each example's candidates, all of which are as likely."""
    draws = np.random.RandomState([seed, 3]).random_sample(len(votes))
    found = [candidates(own) for own in votes]
    chosen = [own[int(draw * len(own))] for own, draw in zip(found, draws, strict=True)]
    return np.array(chosen, np.int64)

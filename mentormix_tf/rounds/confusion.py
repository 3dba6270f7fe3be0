"""How labels are made wrong, by the confusion matrix of a network that was trained plainly.

This is how S-Model starts as published (Goldberger and Ben-Reuven, "Training Deep Neural-Networks
Using a Noise Adaptation Layer", ICLR 2017, section 3). The network must not have learned the wrong
labels yet, or it confuses nothing: keep the round short.
"""

from collections.abc import Mapping

import numpy as np

from mentormix_tf.config import RunConfig
from mentormix_tf.data.prepared import NoisySplits
from mentormix_tf.errors import InputError
from mentormix_tf.rounds.rounds_folder import Outcome, RoundsFolder

__all__ = ["check", "prepare", "transition_matrix"]


def transition_matrix(confusion: np.ndarray) -> np.ndarray:
    """Estimates the probability of each label for each true class, for which predictions stand.

    Args:
        confusion: `[num_classes, num_classes]`, [i, j] is the sum of the probabilities of class i
            of the examples with label j.

    Returns:
        `[num_classes, num_classes]`, float64, rows that sum to 1; a class that is never predicted
        keeps its label.
    """
    sums = confusion.sum(axis=1, keepdims=True)
    known = confusion / np.where(sums > 0.0, sums, 1.0)
    return np.where(sums > 0.0, known, np.eye(len(confusion)))


def check(config: RunConfig, data: NoisySplits, columns: Mapping[str, np.ndarray]) -> None:
    """Checks that the method starts with a transition matrix, and has no other.

    Args:
        config: the run.
        data: its split.
        columns: those of the examples to train on.

    Raises:
        InputError: it does not, or it is given one.
    """
    given = config.hyperparameters.get("transition_matrix")
    if given is None:
        raise InputError(
            "rounds=confusion estimates a transition matrix, which "
            f"method={config.method} has not: choose s_model or forward."
        )
    if given:
        raise InputError(
            f"rounds=confusion estimates what transition_matrix={given} gives: leave one of them "
            "out."
        )


def prepare(rounds: RoundsFolder, config: RunConfig) -> Outcome:
    """Estimates the transition matrix by one round.

    Args:
        rounds: trains the round.
        config: the run.

    Raises:
        InputError: see `RoundsFolder.train`.
    """
    found = rounds.train("plain")
    if found.confusion is None:
        raise InputError(
            f"{rounds.path / 'plain.npz'} has no confusion matrix: delete it, and it is made again."
        )
    return Outcome(transition_matrix=transition_matrix(found.confusion))

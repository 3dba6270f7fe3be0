"""INCV: chooses the examples whose labels networks that were trained on others agree with.

Chen, Liao, Chen and Zhang, "Understanding and Utilizing Deep Neural Networks Trained with Noisy
Labels", ICML 2019: iterative noisy cross-validation. A network that has learned the noisy labels of
one half of the training set predicts the other half with the same noise. So a label that it agrees
with is probably right, and the share of agreement tells how many labels are wrong.

Differences from the authors' code: each training's last weights judge the other half, where the
code takes those that are best on it in the first iterations; each training starts with a new
optimizer; and only examples that were not chosen can be removed.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from mentormix_tf.config import RunConfig
from mentormix_tf.data.prepared import NoisySplits
from mentormix_tf.errors import InputError
from mentormix_tf.rounds.opinion import Opinion
from mentormix_tf.rounds.rounds_folder import Outcome, RoundsFolder

__all__ = ["AssumedNoise", "Selection", "agreement", "check", "noise_rate", "prepare", "select"]

AssumedNoise = Literal["symmetric", "pair"]
_MOST_REMOVED = 2.0  # examples for each that is chosen


@dataclasses.dataclass(frozen=True)
class Selection:
    """The examples that were chosen.

    Attributes:
        chosen: `[n]`, bool.
        noise_rate: the estimated share of wrong labels, in [0, 1].
    """

    chosen: np.ndarray
    noise_rate: float


def agreement(rate: float, num_classes: int, noise: AssumedNoise) -> float:
    """The share of held-out labels that a network agrees with that has learned the noise.

    Both the label and the prediction are right with probability 1 - rate, and otherwise one of the
    k other classes that a label can turn into: (1 - rate)² + rate² / k.

    Args:
        rate: share of wrong labels, in [0, 1].
        num_classes: number of classes.
        noise: symmetric if a wrong label is any other class, k = num_classes - 1; pair if each
            class turns into one other, k = 1.
    """
    return (1.0 - rate) ** 2 + rate**2 / _others(num_classes, noise)


def noise_rate(agreed: float, num_classes: int, noise: AssumedNoise) -> float:
    """The lowest share of wrong labels, in thousandths, that explains a share of agreement.

    Args:
        agreed: share of held-out labels that the network agrees with, in [0, 1].
        num_classes, noise: see `agreement`.

    Returns:
        In [0, 1]; where the agreement is less than any share explains, the one that comes closest.
    """
    k = _others(num_classes, noise)
    most = math.floor(1000 * k / (k + 1))  # from there on, agreement grows again
    rates = [thousandths / 1000 for thousandths in range(most + 1)]
    explained = (rate for rate in rates if agreement(rate, num_classes, noise) <= agreed)
    return next(explained, rates[-1])


def select(
    train: Callable[[str, np.ndarray], Opinion],
    labels: np.ndarray,
    num_classes: int,
    candidates: np.ndarray | None = None,
    *,
    iterations: int = 4,
    noise: AssumedNoise = "symmetric",
    seed: int = 0,
) -> Selection:
    """Chooses training examples by iterative noisy cross-validation.

    Each iteration cuts the candidates into two random halves. A network is trained on one half and
    the examples that were chosen before, and those of the other half whose label it predicts are
    chosen; then the halves are exchanged. With symmetric noise, some of those with the highest
    losses are no candidates any more: noise_rate / (1 - noise_rate) for each that was chosen.

    Args:
        train: trains a network from scratch, and returns its opinion. It takes the name of the
            round, such as 1a or 4b, and `[n]`, bool, which examples to train on.
        labels: `[n]`, integers in [0, num_classes), of which some are wrong.
        num_classes: number of classes.
        candidates: `[n]`, bool, which examples to choose from; None for all.
        iterations: number of iterations, of two trainings each.
        noise: what is assumed of wrong labels, see `agreement`.
        seed: seed of the halves.
    """
    left = np.ones(len(labels), bool) if candidates is None else candidates.copy()
    chosen, rate = np.zeros(len(labels), bool), math.nan
    for iteration in range(1, iterations + 1):
        found = np.flatnonzero(left)
        order = np.random.RandomState([seed, iteration]).permutation(found)
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        agreed, removed = [], []
        for letter, learned, judged in [("a", *halves), ("b", *reversed(halves))]:
            opinion = train(f"{iteration}{letter}", _with(chosen, learned))
            agrees = opinion.predicted[judged] == labels[judged]
            if math.isnan(rate):
                rate = noise_rate(float(agrees.mean()), num_classes, noise)
            agreed.append(judged[agrees])
            others = judged[~agrees]
            share = min(_MOST_REMOVED, rate / (1.0 - rate)) if rate < 1.0 else _MOST_REMOVED
            by_loss = others[np.argsort(-opinion.losses[others], kind="stable")]
            removed.append(by_loss[: int(share * agrees.sum())])
        chosen = _with(chosen, np.concatenate(agreed))
        left &= ~chosen
        if noise == "symmetric":
            left &= ~_with(np.zeros(len(labels), bool), np.concatenate(removed))
        if left.sum() < 2:
            break
    return Selection(chosen, rate)


def check(config: RunConfig, data: NoisySplits, columns: Mapping[str, np.ndarray]) -> None:
    """Checks that each half of the training examples is enough to train on.

    Args:
        config: the run.
        data: its split.
        columns: `label` of the examples to choose from, `[n]`.

    Raises:
        InputError: a class has fewer than two examples, or a half fewer than a batch.
    """
    labels, class_names = columns["label"], data.class_names
    counts = np.bincount(labels, minlength=len(class_names))
    if counts.min() < 2:
        raise InputError(
            "rounds=incv cuts the training examples into two halves, but class "
            f"{class_names[int(counts.argmin())]} has {counts.min()}: add some, or leave out "
            "--rounds."
        )
    batch_size = config.training.batch_size
    if len(labels) // 2 < batch_size:
        raise InputError(
            f"batch_size={batch_size} is larger than a half of the {len(labels):,} training "
            "examples, on which rounds=incv trains: choose a smaller one."
        )


def prepare(rounds: RoundsFolder, config: RunConfig) -> Outcome:
    """Chooses the examples to train on by the rounds of a run.

    Args:
        rounds: trains the rounds.
        config: the run.

    Raises:
        InputError: too few examples are chosen to train on; or see `RoundsFolder.train`.
    """
    training, settings = config.training, config.rounds
    found = select(
        rounds.train,
        rounds.labels,
        rounds.num_classes,
        rounds.kept,
        iterations=settings.incv_iterations,
        noise=settings.incv_noise,
        seed=training.seed,
    )
    count = int(found.chosen.sum())
    if count < training.batch_size:
        raise InputError(
            f"rounds=incv chose {count} examples, less than batch_size={training.batch_size}: let "
            "the rounds learn more, in a new folder with more than "
            f"--round_steps={config.steps_of_a_round()}."
        )
    facts = {"estimated_noise_rate": found.noise_rate, "selected_examples": count}
    return Outcome(keep=found.chosen, facts=facts)


def _with(mask, positions):
    """A mask in which some positions are true, too."""
    result = mask.copy()
    result[positions] = True
    return result


def _others(num_classes, noise):
    return num_classes - 1 if noise == "symmetric" else 1

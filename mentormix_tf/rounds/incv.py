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
from typing import Any, Literal

import numpy as np

__all__ = ["AssumedNoise", "Opinion", "Selection", "agreement", "facts", "noise_rate", "select"]

AssumedNoise = Literal["symmetric", "pair"]
_MOST_REMOVED = 2.0  # examples for each that is chosen


@dataclasses.dataclass(frozen=True)
class Opinion:
    """What a trained network says of all training examples.

    Attributes:
        predicted: `[n]`, integers, the most probable class.
        losses: `[n]`, float, the cross-entropy with the label.
    """

    predicted: np.ndarray
    losses: np.ndarray


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


def facts(found: Selection, is_clean: np.ndarray | None) -> Mapping[str, Any]:
    """What result.json says of a selection.

    Args:
        found: the selection.
        is_clean: `[n]`, 1 for a right label, 0 for a wrong one; None if unknown.
    """
    known: dict[str, Any] = {
        "estimated_noise_rate": found.noise_rate,
        "selected_examples": int(found.chosen.sum()),
    }
    if is_clean is not None and found.chosen.any() and (is_clean == 1).any():
        known["selection_precision"] = float((is_clean[found.chosen] == 1).mean())
        known["selection_recall"] = float(found.chosen[is_clean == 1].mean())
    return known


def _with(mask, positions):
    """A mask in which some positions are true, too."""
    result = mask.copy()
    result[positions] = True
    return result


def _others(num_classes, noise):
    return num_classes - 1 if noise == "symmetric" else 1

"""INCV with networks whose predictions are known, against the closed forms of Chen et al. 2019."""

import numpy as np
import pytest

from mentormix_tf.rounds import incv
from mentormix_tf.rounds.opinion import Opinion

CLASSES, COUNT = 10, 40_000


def noisy(true, rate, noise, seed):
    """Labels of which a share is wrong."""
    random = np.random.RandomState(seed)
    step = random.randint(1, CLASSES, len(true)) if noise == "symmetric" else 1
    return np.where(random.uniform(size=len(true)) < rate, (true + step) % CLASSES, true)


def true_classes(count=COUNT):
    return np.random.RandomState(7).randint(CLASSES, size=count)


class Trainer:
    """Stands in for training; keeps the examples of each round."""

    def __init__(self, predicted, losses=None):
        self.opinion = Opinion(predicted, np.zeros(len(predicted)) if losses is None else losses)
        self.rounds = {}

    def __call__(self, name, chosen):
        self.rounds[name] = chosen.copy()
        return self.opinion


@pytest.mark.parametrize("noise", ["symmetric", "pair"])
def test_the_noise_rate_explains_the_agreement(noise):
    most = 0.9 if noise == "symmetric" else 0.5
    for rate in np.arange(0, most, 0.05):
        agreed = (1 - rate) ** 2 + rate**2 / (9 if noise == "symmetric" else 1)
        assert incv.agreement(rate, CLASSES, noise) == pytest.approx(agreed)
        assert incv.noise_rate(agreed + 1e-9, CLASSES, noise) == pytest.approx(rate, abs=0.0011)
    assert incv.noise_rate(0.01, CLASSES, noise) == most
    assert incv.noise_rate(1.0, CLASSES, noise) == 0.0


@pytest.mark.parametrize("noise", ["symmetric", "pair"])
@pytest.mark.parametrize("rate", [0.2, 0.4])
def test_a_network_that_has_learned_the_noise(noise, rate):
    """Precision and recall of one iteration are those of the paper's closed forms."""
    true = true_classes()
    labels = noisy(true, rate, noise, 0)
    train = Trainer(noisy(true, rate, noise, 1))
    found = incv.select(train, labels, CLASSES, iterations=1, noise=noise)
    assert found.noise_rate == pytest.approx(rate, abs=0.02)
    k = CLASSES - 1 if noise == "symmetric" else 1
    precision = (1 - rate) ** 2 / ((1 - rate) ** 2 + rate**2 / k)
    is_right = labels == true
    assert is_right[found.chosen].mean() == pytest.approx(precision, abs=0.01)
    assert found.chosen[is_right].mean() == pytest.approx(1 - rate, abs=0.01)


def test_a_network_that_knows_the_truth_chooses_all_right_labels_and_no_other():
    true = true_classes(2000)
    labels = noisy(true, 0.3, "symmetric", 0)
    found = incv.select(Trainer(true), labels, CLASSES)
    np.testing.assert_array_equal(found.chosen, labels == true)


def test_each_half_is_judged_by_a_network_that_has_not_seen_it():
    true = true_classes(500)
    labels = noisy(true, 0.4, "symmetric", 0)
    candidates = np.arange(500) % 5 > 0
    train = Trainer(noisy(true, 0.4, "symmetric", 1))
    incv.select(train, labels, CLASSES, candidates, iterations=2, noise="pair")
    assert list(train.rounds) == ["1a", "1b", "2a", "2b"]
    one, two = train.rounds["1a"], train.rounds["1b"]
    assert not (one & two).any() and abs(int(one.sum()) - int(two.sum())) <= 1
    np.testing.assert_array_equal(one | two, candidates)
    chosen = candidates & (train.opinion.predicted == labels)
    np.testing.assert_array_equal(train.rounds["2a"] & train.rounds["2b"], chosen)
    np.testing.assert_array_equal(train.rounds["2a"] | train.rounds["2b"], candidates)


def test_with_symmetric_noise_the_highest_losses_are_removed():
    true = true_classes(1000)
    labels = noisy(true, 0.4, "symmetric", 0)
    losses = np.random.RandomState(2).uniform(size=1000)
    train = Trainer(noisy(true, 0.4, "symmetric", 1), losses)
    found = incv.select(train, labels, CLASSES, iterations=2)
    removed = ~(train.rounds["2a"] | train.rounds["2b"])
    agrees = train.opinion.predicted == labels
    assert not (removed & (found.chosen | agrees)).any()
    for half in (train.rounds["1a"], train.rounds["1b"]):
        expected = int(found.noise_rate / (1 - found.noise_rate) * (agrees & half).sum())
        assert (removed & half).sum() == expected > 50
        left = half & ~agrees & ~removed
        assert losses[removed & half].min() >= losses[left].max()


def test_the_seed_decides_the_halves():
    true = true_classes(100)
    halves = []
    for seed in (0, 0, 1):
        train = Trainer(true)
        incv.select(train, true, CLASSES, iterations=1, seed=seed)
        halves.append(train.rounds["1a"])
    np.testing.assert_array_equal(halves[0], halves[1])
    assert (halves[0] != halves[2]).any()


def test_it_ends_when_nothing_is_left_to_choose_from():
    true = true_classes(100)
    train = Trainer(true)
    found = incv.select(train, true, CLASSES, iterations=4)
    assert found.chosen.all() and list(train.rounds) == ["1a", "1b"] and found.noise_rate == 0.0

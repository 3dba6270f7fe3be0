"""Noise rates of labels whose true classes are known."""

import numpy as np
import pytest

from mentormix_tf.auditing import noise_rate

CLASSES = 4


def example(level, accuracy=1.0, count=4000, seed=0):
    """True classes, labels, and the probabilities of a network that mistakes some for others."""
    random = np.random.RandomState(seed)
    true = random.randint(CLASSES, size=count)
    wrong = random.uniform(size=count) < level
    labels = np.where(wrong, (true + random.randint(1, CLASSES, size=count)) % CLASSES, true)
    seen = np.where(
        random.uniform(size=count) < accuracy, true, random.randint(CLASSES, size=count)
    )
    # Less sure where it is mistaken.
    sharpness = np.where(
        seen == true, random.uniform(3, 6, size=count), random.uniform(0, 2, count)
    )
    logits = sharpness[:, None] * np.eye(CLASSES)[seen] + random.normal(size=(count, CLASSES))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return true, labels, probabilities


def estimated(labels, probabilities):
    believed = noise_rate.confident_classes(labels, probabilities)
    return noise_rate.estimate(labels, believed, CLASSES)


@pytest.mark.parametrize("level", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("accuracy", [1.0, 0.9])
def test_the_rate_is_found(level, accuracy):
    true, labels, probabilities = example(level, accuracy)
    found = estimated(labels, probabilities)
    assert found.rate == pytest.approx((true != labels).mean(), abs=0.03)
    low, high = found.interval
    assert low <= found.rate <= high and high - low < 0.05
    joint = np.zeros((CLASSES, CLASSES))
    np.add.at(joint, (labels, true), 1 / len(labels))
    np.testing.assert_allclose(found.joint, joint, atol=0.015)
    np.testing.assert_allclose(found.joint.sum(axis=1), joint.sum(axis=1))


def test_the_transition_matrix_has_a_row_for_each_true_class():
    labels = np.array([0, 0, 0, 1, 1, 3])
    found = noise_rate.estimate(labels, np.array([0, 0, 1, 1, 0, 3]), CLASSES)
    expected = [[2 / 3, 1 / 3, 0, 0], [1 / 2, 1 / 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(found.transition_matrix(), expected)


def test_confident_classes_by_hand():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.3, 0.7], [0.5, 0.5], [0.1, 0.9]])
    # The thresholds are 0.6 and 0.7.
    found = noise_rate.confident_classes(labels, probabilities)
    np.testing.assert_array_equal(found, [0, 1, -1, 1])
    rate = noise_rate.estimate(labels, found, 2)
    np.testing.assert_allclose(rate.joint, [[0.25, 0.25], [0.0, 0.5]])
    assert rate.rate == 0.25
    np.testing.assert_array_equal(rate.class_rates, [0.5, 0.0])


def test_the_interval_covers_the_estimate_of_the_whole():
    _, labels, probabilities = example(0.3, count=40_000)
    whole = estimated(labels, probabilities).rate
    hits = 0
    for part in np.array_split(np.random.RandomState(1).permutation(40_000), 40):
        low, high = estimated(labels[part], probabilities[part]).interval
        hits += low <= whole <= high
    assert 33 <= hits <= 40  # of 40, at 95 %


def test_a_class_without_examples_and_one_without_confident_ones():
    labels = np.array([0, 0, 1])
    found = noise_rate.estimate(labels, np.array([0, 0, -1]), 3)
    assert found.rate == 0.0 and found.class_rates[1] == 0.0 and np.isnan(found.class_rates[2])
    np.testing.assert_allclose(found.joint.sum(axis=1), [2 / 3, 1 / 3, 0.0])


def test_the_seed_repeats_the_interval():
    _, labels, probabilities = example(0.3)
    assert estimated(labels, probabilities).interval == estimated(labels, probabilities).interval

"""Uniform draws and folded seeds: their distribution, and equality with and without XLA."""

import numpy as np
import tensorflow as tf
from scipy import stats

from mentormix_tf import randomness


def test_uniform_is_uniform():
    draws = randomness.uniform([100_000], [1, 2]).numpy()
    assert draws.dtype == np.float32 and draws.min() >= 0 and draws.max() < 1
    assert stats.kstest(draws, "uniform").pvalue > 1e-3


def test_folded_seeds_give_unrelated_draws():
    def draw(*data):
        seed = tf.constant([0, 0])
        for number in data:
            seed = randomness.fold_in(seed, number)
        return randomness.uniform([10_000], seed).numpy()

    draws = [draw(1, 2), draw(2, 1), draw(1, 3), draw(0, 0), draw(1)]
    correlations = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlations).max() < 0.05
    np.testing.assert_array_equal(draw(1, 2), draws[0])


def test_xla_draws_the_same_numbers():
    def draw(step):
        return randomness.uniform([1000], randomness.fold_in([7, 0], step))

    step = tf.constant(12_345_678_901, tf.int64)
    np.testing.assert_array_equal(draw(step), tf.function(draw, jit_compile=True)(step))

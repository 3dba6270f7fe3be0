"""The moving percentile, the threshold and the burn-in, against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError
from mentormix_tf.mentors import ThresholdMentor
from tests.support import oracles


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "lower", "higher", "midpoint"])
@pytest.mark.parametrize("gamma_p", [0.0, 0.2, 0.6, 0.85, 1.0])
@pytest.mark.parametrize("batch_size", [1, 2, 10, 127, 128])
def test_gamma_over_ten_steps(interpolation, gamma_p, batch_size):
    mentor = ThresholdMentor(gamma_p, 0.5, interpolation, burn_in=0.3)
    oracle = oracles.Mentor(gamma_p, 0.5, interpolation, burn_in=0.3)
    random = np.random.RandomState(0)
    for step in range(10):
        losses = random.exponential(size=batch_size).astype(np.float32)
        v = mentor(losses, progress=step / 10)
        expected = oracle(losses.astype(np.float64), step / 10)
        np.testing.assert_allclose(mentor.gamma, oracle.gamma, atol=1e-5)
        np.testing.assert_array_equal(v, expected)
        assert v.dtype == tf.float32


def test_equal_losses_are_not_trusted():
    # γ climbs from 0 towards the common loss and never passes it, so "below γ" holds for none.
    mentor = ThresholdMentor(gamma_p=0.6)
    for _ in range(10):
        np.testing.assert_array_equal(mentor(tf.fill([8], 2.0), progress=1.0), np.zeros(8))
    np.testing.assert_allclose(mentor.gamma, 2.0, rtol=1e-2)


def test_gamma_moves_in_burn_in_too():
    mentor = ThresholdMentor(gamma_p=0.5, burn_in=0.5)
    losses = tf.constant([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(mentor(losses, progress=0.4), [1, 1, 1])
    assert float(mentor.gamma) == 1.0  # half of the median, since γ started at 0
    np.testing.assert_array_equal(mentor(losses, progress=0.5), [1, 0, 0])


def test_float32_whatever_the_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mentor = ThresholdMentor(gamma_p=0.5, loss_ema_decay=0.0, burn_in=0.0)
        losses = tf.constant([1.0, 1.001, 1.002])  # all 1.0 in bfloat16
        np.testing.assert_array_equal(mentor(losses, progress=1.0), [1, 0, 0])
        assert mentor.gamma.dtype == "float32"
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    "argument",
    [
        {"gamma_p": 1.5},
        {"gamma_p": -0.1},
        {"gamma_p": float("nan")},
        {"loss_ema_decay": 1.0},
        {"percentile_interpolation": "cubic"},
        {"burn_in": 2.0},
    ],
)
def test_arguments_out_of_range(argument):
    [(name, value)] = argument.items()
    with pytest.raises(InputError, match=f"{name}={value}"):
        ThresholdMentor(**{"gamma_p": 0.5, **argument})

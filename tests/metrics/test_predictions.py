"""Metrics of predictions against values computed by hand."""

import math

import numpy as np
import pytest

from mentormix_tf.metrics.predictions import Predictions

PREDICTIONS = Predictions(
    label=np.array([0, 1, 2, 2]),
    true_label=np.array([0, 1, 0, -1]),
    is_clean=np.array([1, 1, 0, -1]),
    predicted=np.array([0, 2, 0, 2]),
    confidence=np.array([0.9, 0.5, 0.6, 0.7], np.float32),
    rank=np.array([0, 1, 2, 0]),
    loss=np.array([0.25, 1.0, 2.0, 0.75], np.float32),
)


def test_accuracy():
    assert PREDICTIONS.accuracy() == 0.5
    assert PREDICTIONS.accuracy(PREDICTIONS.is_clean == 1) == 0.5
    wrong = PREDICTIONS.is_clean == 0
    assert PREDICTIONS.accuracy(wrong) == 0.0
    assert PREDICTIONS.accuracy(wrong, of="true_label") == 1.0
    assert PREDICTIONS.accuracy(PREDICTIONS.is_clean == 2) is None


def test_top_k():
    assert [PREDICTIONS.top_k(k) for k in (1, 2, 3)] == [0.5, 0.75, 1.0]


def test_mean_loss_is_summed_in_float64():
    assert PREDICTIONS.mean_loss() == 1.0
    many = np.full(2**20 + 1, 0.1, np.float32)
    found = Predictions(*[many] * 7).mean_loss()
    assert found == pytest.approx(math.fsum(many.tolist()) / many.size, rel=1e-14)

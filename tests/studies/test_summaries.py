"""Means and deviations, against NumPy and SciPy."""

import numpy as np
import pytest
from scipy import stats

from mentormix_tf.studies import summaries

LEVELS, SEEDS, STEPS = (0.0, 0.2, 0.4), (0, 1, 2, 3), (10, 20)


@pytest.fixture
def accuracies():
    """Of each level, seed and step."""
    return np.random.default_rng(0).uniform(size=(3, 4, 2))


@pytest.fixture
def runs(accuracies):
    which = dict(kind="digits-symmetric", method="mixup")
    return [
        {**which, "level": level, "seed": seed, "peak": max(values), "final": values[-1]}
        for level, of_level in zip(LEVELS, accuracies, strict=True)
        for seed, values in zip(SEEDS, of_level, strict=True)
    ] + [{**which, "kind": "other", "level": 0.2, "seed": 0, "peak": 0.5, "final": 0.25}]


def test_by_level(runs, accuracies):
    *rows, other = summaries.by_level(runs)
    peaks, finals = accuracies.max(axis=2), accuracies[:, :, -1]
    for name, values in (("peak", peaks), ("final", finals), ("drop", peaks - finals)):
        np.testing.assert_allclose([row[name] for row in rows], values.mean(axis=1))
        np.testing.assert_allclose([row[f"{name}_sd"] for row in rows], values.std(axis=1, ddof=1))
    assert [row["seeds"] for row in rows] == [4, 4, 4]
    assert (other["drop"], other["drop_sd"], other["seeds"]) == (0.25, 0.0, 1)


def test_over_levels(runs, accuracies):
    row, other = summaries.over_levels(summaries.by_level(runs))
    of_levels = accuracies.max(axis=2).mean(axis=1)
    assert row["peak"] == pytest.approx(of_levels.mean())
    assert row["peak_sd"] == pytest.approx(of_levels.std(ddof=1))
    assert (row["levels"], other["levels"], other["peak_sd"]) == (3, 1, 0.0)


def test_over_training(accuracies):
    curves = [
        {"kind": "k", "method": "m", "level": level, "seed": seed, "step": step, "test_accuracy": a}
        for level, of_level in zip(LEVELS, accuracies, strict=True)
        for seed, of_seed in zip(SEEDS, of_level, strict=True)
        for step, a in zip(STEPS, of_seed, strict=True)
    ]
    lines = summaries.over_training(curves)
    assert list(lines) == [("k", "m")]
    for (step, mean, width), index in zip(lines["k", "m"], range(2), strict=True):
        of_levels = accuracies[:, :, index].mean(axis=1)
        low, high = stats.t.interval(0.95, 2, of_levels.mean(), stats.sem(of_levels))
        assert step == STEPS[index]
        assert (mean - width, mean + width) == pytest.approx((low, high))

"""Label noise: exact counts, the right distribution, the same on every machine."""

import hashlib

import numpy as np
import pytest
from scipy import stats

from mentormix_tf import InputError
from mentormix_tf.data import noise

LABELS = np.random.RandomState(0).randint(10, size=20_000)


@pytest.mark.parametrize("level", [0.0, 0.05, 0.2, 0.4, 0.8, 1.0])
def test_symmetric_flips_exactly_that_many(level):
    noisy = noise.symmetric(LABELS, 10, level, seed=1)
    assert (noisy != LABELS).sum() == round(level * len(LABELS))
    assert noisy.min() >= 0 and noisy.max() < 10


def test_symmetric_flips_to_any_other_class_alike():
    noisy = noise.symmetric(LABELS, 10, 0.5, seed=2)
    flipped = noisy != LABELS
    steps = np.bincount((noisy - LABELS)[flipped] % 10, minlength=10)
    assert steps[0] == 0 and stats.chisquare(steps[1:]).pvalue > 1e-3
    # Which examples are flipped depends neither on their class nor on their place.
    counts = [np.bincount(LABELS[flipped]), np.bincount(LABELS[~flipped])]
    assert stats.chi2_contingency(counts).pvalue > 1e-3
    halves = [flipped[:10_000].sum(), flipped[10_000:].sum()]
    assert stats.chisquare(halves).pvalue > 1e-3


def test_symmetric_is_a_function_of_its_seed():
    def digest(seed):
        return hashlib.sha256(noise.symmetric(LABELS, 10, 0.4, seed).tobytes()).hexdigest()[:16]

    assert digest(3) == digest(3) != digest(4)
    assert digest(0) == "ffb8d95300986854"  # on every machine, with every version of NumPy


def test_labels_are_left_alone():
    before = LABELS.copy()
    noise.symmetric(LABELS, 10, 0.4, seed=0)
    np.testing.assert_array_equal(LABELS, before)


@pytest.mark.parametrize("level", [-0.1, 1.1, float("nan")])
def test_level_out_of_range(level):
    with pytest.raises(InputError, match=f"noise_level={level}"):
        noise.symmetric(LABELS, 10, level, seed=0)

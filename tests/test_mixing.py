"""λ, partners and mixing: their distributions, and their values against NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from mentormix_tf import mixing


@pytest.fixture(params=[False, True], ids=["plain", "xla"])
def compiled(request):
    return lambda function: tf.function(function, jit_compile=request.param)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.4, 1.0, 2.0, 8.0, 32.0])
def test_beta_passes_kolmogorov_smirnov(alpha, compiled):
    draw = compiled(lambda: mixing.sample_beta([50_000], alpha, [3, 7]))
    lam = draw().numpy()
    assert np.all((lam >= 0) & (lam <= 1))
    beta = stats.beta(alpha, alpha)
    # For a small alpha, float32 rounds much of the mass near 1 to 1, and some of it near 0 to 0. So
    # the whole is compared with draws that are rounded in the same way, and the lower half, where
    # float32 is fine enough, with the exact distribution.
    reference = beta.rvs(200_000, random_state=1).astype(np.float32)
    assert stats.ks_2samp(np.maximum(lam, 1e-30), np.maximum(reference, 1e-30)).pvalue > 1e-3
    low, high = beta.cdf([1e-30, 0.5])
    lower_half = lam[(lam > 1e-30) & (lam < 0.5)].astype(np.float64)
    assert stats.kstest(lower_half, lambda x: (beta.cdf(x) - low) / (high - low)).pvalue > 1e-3
    assert stats.binomtest(int((lam < 0.5).sum()), len(lam)).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [0.01, 0.4, 2.0, 8.0, 32.0])
def test_beta_is_finite_where_quotients_are_rounded_up(alpha, monkeypatch):
    """GPUs and TPUs divide less exactly: x / x may exceed 1 in the last digit."""
    divide = tf.Tensor.__truediv__

    def rounded_up(x, y):
        return tf.math.nextafter(divide(x, y), tf.constant(np.inf, tf.float32))

    with monkeypatch.context() as patched:
        patched.setattr(tf.Tensor, "__truediv__", rounded_up)
        lam = mixing.sample_beta([500_000], alpha, [3, 7]).numpy()
    assert np.isfinite(lam).all()
    exact = mixing.sample_beta([500_000], alpha, [3, 7]).numpy()
    np.testing.assert_allclose(lam, exact, rtol=1e-5, atol=1e-6)


def test_beta_draws_are_independent():
    lam = mixing.sample_beta([50_000], 0.4, [1, 1]).numpy()
    assert abs(np.corrcoef(lam[:-1], lam[1:])[0, 1]) < 0.02
    other = mixing.sample_beta([50_000], 0.4, [1, 2]).numpy()
    assert abs(np.corrcoef(lam, other)[0, 1]) < 0.02


def test_xla_draws_the_same_numbers():
    def draw():
        partners = mixing.sample_partners(tf.nn.softmax([0.0, 1.0, 1.0, 0.0, 1.0] * 20), [5, 6])
        return mixing.sample_beta([1000], 0.4, [5, 6]), partners

    (lam, partners), (lam_xla, partners_xla) = draw(), tf.function(draw, jit_compile=True)()
    np.testing.assert_allclose(lam, lam_xla, atol=1e-5)
    np.testing.assert_array_equal(partners, partners_xla)


@pytest.mark.parametrize("v", [[0, 1, 1, 0, 1], [0] * 5, [1] * 5, [0.2, 0.9, 0.5, 0, 1], [1.0]])
def test_partner_probabilities(v):
    v = np.array(v, np.float32)
    expected = np.exp(v.astype(np.float64)) / np.exp(v.astype(np.float64)).sum()
    np.testing.assert_allclose(mixing.partner_probabilities(v), expected, atol=1e-6)


@pytest.mark.parametrize("v", [[0.0, 1.0, 1.0, 0.0, 1.0], [0.0] * 8, [0.1, 0.9, 0.4]])
def test_partners_follow_their_probabilities(v, compiled):
    probabilities = tf.nn.softmax(v)
    draw = compiled(lambda seed: mixing.sample_partners(probabilities, seed))
    partners = np.stack([draw(tf.constant([11, i])).numpy() for i in range(4000)])
    # Every position of the batch draws from the same distribution, with replacement.
    for drawn in (partners.ravel(), partners[:, 0], partners[:, -1]):
        counts = np.bincount(drawn, minlength=len(v))
        expected = np.exp(v) / np.exp(v).sum() * len(drawn)
        assert stats.chisquare(counts, expected).pvalue > 1e-3


def test_a_large_batch_draws_up_to_its_ends():
    partners = mixing.sample_partners(tf.fill([8192], 1.0 / 8192), [0, 0]).numpy()
    assert partners.min() >= 0 and partners.max() < 8192
    assert stats.kstest(partners / 8192, "uniform").pvalue > 1e-3


def test_a_batch_of_one_is_its_own_partner():
    assert mixing.sample_partners([1.0], [0, 0]).numpy().tolist() == [0]


def test_trusted_examples_keep_the_larger_share():
    lam = tf.constant([0.2, 0.7, 0.2, 0.7, 0.3, 0.5, 0.0, 1.0])
    v = tf.constant([1.0, 1.0, 0.0, 0.0, 0.25, 0.0, 1.0, 0.0])
    leaned = mixing.lean_to_trusted(lam, v)
    expected = [0.8, 0.7, 0.2, 0.3, 0.25 * 0.7 + 0.75 * 0.3, 0.5, 1.0, 0.0]
    np.testing.assert_allclose(leaned, expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(6,), (6, 4), (6, 5, 4, 3)])
def test_mixup_at_any_rank(shape):
    random = np.random.RandomState(0)
    values = random.normal(size=shape).astype(np.float32)
    partners, lam = random.randint(6, size=6), random.uniform(size=6).astype(np.float32)
    mixed = mixing.mixup(values, partners, lam)
    assert mixed.shape == shape
    for i, j in enumerate(partners):
        expected = float(lam[i]) * values[i] + (1 - float(lam[i])) * values[j]
        np.testing.assert_allclose(mixed[i], expected, atol=1e-5)

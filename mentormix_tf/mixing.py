"""MentorMix's mixup: partners drawn by weight, and λ that favors the trusted example.

Pure functions of their arguments and a `[2]` int32 seed; all of them compile with XLA.
"""

import numpy as np
import tensorflow as tf

from mentormix_tf import randomness

__all__ = [
    "lean_to_trusted",
    "mixup",
    "partner_probabilities",
    "sample_beta",
    "sample_partners",
]


def sample_beta(shape: randomness.Shape, alpha: float, seed: randomness.Seed) -> tf.Tensor:
    """Draws λ ~ Beta(alpha, alpha), exactly and without a loop.

    TensorFlow's gamma sampler has no XLA kernel. The symmetric beta distribution does not need it:
    with U, V uniform and p = U^(1/alpha), the smaller of λ and 1 - λ is (1 - sqrt(1 - r)) / 2 where
    r = p / (p + (1 - p) cos²(2πV)), and the sign of the cosine decides which of the two it is.
    (Devroye, "Non-Uniform Random Variate Generation", 1986, section IX.3.5, by way of Bailey's
    polar method for Student's t, Mathematics of Computation 62, 1994.) With r instead of powers of
    U, nothing overflows for a small alpha, and there is no cancellation near 0. 1 - r is computed
    without a difference, which would be negative where a quotient is rounded up to more than 1, as
    on GPUs and TPUs.

    Args:
        shape: shape of the result.
        alpha: positive.
        seed: `[2]`, int32.

    Returns:
        Float32 tensor of the given shape, in [0, 1].
    """
    u, v = tf.unstack(randomness.uniform(tf.concat([[2], shape], axis=0), seed))
    log_p = tf.math.log1p(-u) / alpha  # 1 - u lies in (0, 1], so the logarithm is finite
    p, one_minus_p = tf.exp(log_p), -tf.math.expm1(log_p)
    cosine = tf.cos(2.0 * np.pi * v)
    rest = one_minus_p * cosine**2
    total = tf.maximum(p + rest, np.finfo(np.float32).tiny)  # p may underflow
    smaller = 0.5 * (p / total) / (1.0 + tf.sqrt(rest / total))
    return tf.where(cosine < 0.0, smaller, 1.0 - smaller)


def partner_probabilities(v: tf.Tensor) -> tf.Tensor:
    """Computes P_v = softmax(v) (Algorithm 1, step 5).

    v lies in [0, 1], so a trusted example is at most e times as likely as an untrusted one.

    Args:
        v: `[batch]`, float32, example weights in [0, 1].

    Returns:
        `[batch]`, float32, with sum 1.
    """
    return tf.nn.softmax(v)


def sample_partners(probabilities: tf.Tensor, seed: randomness.Seed) -> tf.Tensor:
    """Draws one partner for each example, with replacement (Algorithm 1, step 8).

    Args:
        probabilities: `[batch]`, float32, with sum 1.
        seed: `[2]`, int32.

    Returns:
        `[batch]`, int32, positions in the batch.
    """
    batch_size = tf.shape(probabilities)[0]
    cumulative = tf.cumsum(probabilities)
    # Scaled by the sum as computed in float32, so that no draw lies beyond the last position.
    draws = randomness.uniform([batch_size], seed) * cumulative[-1]
    return tf.minimum(tf.searchsorted(cumulative, draws, side="right"), batch_size - 1)


def lean_to_trusted(lam: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
    """Computes λ ← v·max(λ, 1-λ) + (1-v)·min(λ, 1-λ) (Algorithm 1, step 10).

    A trusted example keeps the larger share of its mix, an untrusted one the smaller.

    Args:
        lam: `[batch]`, float32, in [0, 1].
        v: `[batch]`, float32, example weights in [0, 1].

    Returns:
        `[batch]`, float32, in [0, 1].
    """
    return v * tf.maximum(lam, 1.0 - lam) + (1.0 - v) * tf.minimum(lam, 1.0 - lam)


def mixup(values: tf.Tensor, partners: tf.Tensor, lam: tf.Tensor) -> tf.Tensor:
    """Computes λ·x_i + (1-λ)·x_j (Algorithm 1, steps 11 and 12).

    Args:
        values: `[batch, ...]`, float32, images or labels as probabilities.
        partners: `[batch]`, int32, j for each i.
        lam: `[batch]`, float32, λ for each i, in [0, 1].

    Returns:
        Float32 tensor of the shape of `values`.
    """
    lam = tf.reshape(lam, tf.concat([[-1], tf.ones([tf.rank(values) - 1], tf.int32)], axis=0))
    return lam * values + (1.0 - lam) * tf.gather(values, partners)

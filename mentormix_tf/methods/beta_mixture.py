"""A mixture of two beta distributions fitted to losses: of right labels and of wrong ones.

Arazo et al., "Unsupervised Label Noise Modeling and Loss Correction", ICML 2019, section 3.1.
Pure functions that compile with XLA.
"""

from collections.abc import Mapping

import tensorflow as tf

__all__ = ["EDGE", "EM_STEPS", "fit", "wrong_label_probability"]

EM_STEPS = 10
EDGE = 1e-3  # a beta density may be 0 or infinite at 0 and at 1


def fit(losses: tf.Tensor) -> dict[str, tf.Tensor]:
    """Fits the mixture to losses, leaving out the lowest and the highest 5 %.

    Ten steps of expectation-maximization from Beta(1, 2) and Beta(2, 1), as published; each
    maximization matches the weighted mean and variance.

    Args:
        losses: `[n]`, float32; negative values and NaN are ignored.

    Returns:
        `shape_a`, `shape_b` and `log_scale`, `[2]` each, right labels first; and the scalars `low`
        and `high`, the losses that are scaled to 0 and 1; all float32. `log_scale` is the logarithm
        of each component's share divided by its beta function. Values are NaN or infinite if all
        losses are ignored.
    """
    there = losses >= 0.0
    low, high = _percentile(losses, there, 0.05), _percentile(losses, there, 0.95)
    used = tf.cast(there & (losses >= low) & (losses <= high), tf.float32)
    low += 1e-5
    x = _to_unit(losses, low, high)
    # Times a share of ½ each, both densities' constant factors are 1.
    start = (tf.constant([1.0, 2.0]), tf.constant([2.0, 1.0]), tf.zeros([2]))

    def step(shape_a, shape_b, log_scale):
        belongs = tf.nn.softmax(_log_densities(shape_a, shape_b, log_scale, x), axis=0)
        belongs = used * tf.maximum(belongs, 1e-12)
        total = tf.reduce_sum(belongs, axis=1)
        mean = tf.reduce_sum(belongs * x, axis=1) / total
        variance = tf.reduce_sum(belongs * (x - mean[:, None]) ** 2, axis=1) / total
        # A lone loss has no variance.
        shape_a = mean * (mean * (1.0 - mean) / tf.maximum(variance, 1e-6) - 1.0)
        shape_a = tf.maximum(shape_a, 1e-3)
        shape_b = shape_a * (1.0 - mean) / mean
        log_beta = (
            tf.math.lgamma(shape_a) + tf.math.lgamma(shape_b) - tf.math.lgamma(shape_a + shape_b)
        )
        return shape_a, shape_b, tf.math.log(total / tf.reduce_sum(total)) - log_beta

    # A graph loop that ends with the logarithms and lgammas: if unrolled, XLA would copy them into
    # each operation that uses them, and compile for minutes.
    shape_a, shape_b, log_scale = tf.while_loop(
        lambda *_: True, step, start, maximum_iterations=EM_STEPS
    )
    return dict(shape_a=shape_a, shape_b=shape_b, log_scale=log_scale, low=low, high=high)


def wrong_label_probability(mixture: Mapping[str, tf.Tensor], losses: tf.Tensor) -> tf.Tensor:
    """Computes the posterior of the second component, constant beyond its maximum.

    Args:
        mixture: the result of `fit`.
        losses: `[batch]`, float32, 0 or more.

    Returns:
        `[batch]`, float32, in [0, 1].
    """
    shape_a, shape_b = mixture["shape_a"], mixture["shape_b"]
    x = _to_unit(losses, mixture["low"], mixture["high"])
    # The log odds are c + da·log x + db·log(1 - x); maximum at da / (da + db) if both are positive.
    da, db = tf.unstack(tf.stack([shape_a[1] - shape_a[0], shape_b[1] - shape_b[0]]))
    has_peak = (da > 0.0) & (db > 0.0)
    peak = tf.where(has_peak, da / tf.where(has_peak, da + db, 1.0), 1.0)
    x = tf.clip_by_value(tf.minimum(x, peak), EDGE, 1.0 - EDGE)
    densities = _log_densities(shape_a, shape_b, mixture["log_scale"], x)
    return tf.sigmoid(densities[1] - densities[0])


def _log_densities(shape_a, shape_b, log_scale, x):
    """`[2, n]`: the logarithm of each component's density times its share."""
    by_x = (shape_a - 1.0)[:, None] * tf.math.log(x)
    return log_scale[:, None] + by_x + (shape_b - 1.0)[:, None] * tf.math.log1p(-x)


def _to_unit(losses, low, high):
    """Scales losses to between 0 and 1."""
    x = (losses - low) / (high - low + 1e-6)
    return tf.clip_by_value(tf.where(tf.math.is_nan(x), 0.0, x), EDGE, 1.0 - EDGE)


def _percentile(values, there, fraction):
    """A percentile of the values in the mask `there`, interpolated linearly as by NumPy."""
    in_order = tf.sort(tf.where(there, values, float("inf")))
    last = tf.maximum(tf.reduce_sum(tf.cast(there, tf.int32)) - 1, 0)
    place = fraction * tf.cast(last, tf.float32)
    below = tf.cast(tf.floor(place), tf.int32)
    low, high = in_order[below], in_order[tf.minimum(below + 1, last)]
    return low + (place - tf.floor(place)) * (high - low)

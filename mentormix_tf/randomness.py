"""Stateless random numbers that are the same with and without XLA, on CPU, GPU and TPU.

TensorFlow's own `stateless_fold_in` chooses its generator by device, and its float uniforms use
other bits of each random word than XLA's do, so that a seed gives other numbers once a step is
compiled. Philox words as integers agree everywhere, so everything here is derived from them.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

__all__ = ["Seed", "Shape", "fold_in", "uniform"]

Seed = tf.Tensor | Sequence[int]
Shape = tf.Tensor | Sequence[int | tf.Tensor]


def fold_in(seed: Seed, data: tf.Tensor | int) -> tf.Tensor:
    """Derives a new seed from a seed and an integer, such as a step or a replica.

    Args:
        seed: `[2]`, int32.
        data: scalar of any integer dtype, of which the low 32 bits are used.

    Returns:
        `[2]`, int32.
    """
    word = _words([1], seed, tf.int32)
    return tf.concat([word, [tf.cast(data, tf.int32)]], axis=0)


def uniform(shape: Shape, seed: Seed) -> tf.Tensor:
    """Draws from the uniform distribution on [0, 1), in steps of 2**-24.

    Args:
        shape: shape of the result.
        seed: `[2]`, int32.

    Returns:
        Float32 tensor of the given shape.
    """
    words = _words(shape, seed, tf.uint32)
    return tf.cast(tf.bitwise.right_shift(words, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24


def _words(shape: Any, seed: Any, dtype: tf.DType) -> tf.Tensor:
    """Draws 32-bit integers over the whole range of their dtype."""
    bound: Any = None
    return tf.random.stateless_uniform(
        shape, seed, minval=bound, maxval=bound, dtype=dtype, alg="philox"
    )

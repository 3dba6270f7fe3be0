"""Stateless random numbers that are the same with and without XLA, on CPU, GPU and TPU.

TensorFlow's own `stateless_fold_in` picks its generator by device, and its float uniforms take
other bits of each random word than XLA's do; one seed then gives other numbers once a step is
compiled. Philox words as integers agree everywhere, so everything here is made from those.
"""

import tensorflow as tf


def fold_in(seed, data):
    """Makes a new seed from a seed and an integer, such as a step or a replica.

    Args:
        seed: `[2]`, int32.
        data: scalar, any integer type; its low 32 bits count.

    Returns:
        `[2]`, int32.
    """
    word = tf.random.stateless_uniform(
        [1], seed, minval=None, maxval=None, dtype=tf.int32, alg="philox"
    )
    return tf.concat([word, [tf.cast(data, tf.int32)]], axis=0)


def uniform(shape, seed):
    """Draws from the uniform distribution on [0, 1), in steps of 2**-24.

    Args:
        shape: shape of the result.
        seed: `[2]`, int32.

    Returns:
        float32 tensor of the given shape.
    """
    words = tf.random.stateless_uniform(
        shape, seed, minval=None, maxval=None, dtype=tf.uint32, alg="philox"
    )
    return tf.cast(tf.bitwise.right_shift(words, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24

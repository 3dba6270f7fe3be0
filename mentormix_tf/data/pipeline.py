"""Batches for training and evaluation, as `tf.data` data sets of dicts."""

import numpy as np
import tensorflow as tf

from mentormix_tf.errors import InputError


def train_batches(examples, batch_size, seed, start_step=0):
    """Endless training batches, shuffled anew each epoch.

    The batch of a step is a function of (seed, step) alone: a stream that starts at step k is the
    tail of the one that starts at 0.

    Args:
        examples: dict of arrays of one length.
        batch_size: examples in a batch; an epoch's incomplete last batch is left out.
        seed: seed of the order.
        start_step: step of the first batch.

    Returns:
        `tf.data.Dataset` of dicts of tensors `[batch_size, ...]` for all but `id`; the image is
        float32 in [0, 255].

    Raises:
        InputError: there are fewer examples than batch_size.
    """
    size = len(examples["label"])
    steps_per_epoch = size // batch_size
    if steps_per_epoch == 0:
        raise InputError(
            f"batch_size={batch_size} is larger than the training data, which has {size} examples."
        )

    def orders():
        first_epoch, first_step = divmod(start_step, steps_per_epoch)
        for epoch in range(first_epoch, 2**31):
            order = np.random.RandomState([seed, epoch]).permutation(size)
            yield order[first_step * batch_size : steps_per_epoch * batch_size]
            first_step = 0

    positions = tf.data.Dataset.from_generator(
        orders, output_signature=tf.TensorSpec([None], tf.int64)
    )
    positions = positions.unbatch().batch(batch_size, drop_remainder=True)
    return _gather(positions, examples)


def eval_batches(examples, batch_size):
    """Every example once, in order; the last batch may be smaller.

    Args:
        examples: dict of arrays of one length.
        batch_size: examples in a batch.

    Returns:
        `tf.data.Dataset` of dicts of tensors `[batch, ...]`, as `train_batches` gives them.
    """
    positions = tf.data.Dataset.range(len(examples["label"])).batch(batch_size)
    return _gather(positions, examples)


def _gather(positions, examples):
    # Strings are left out: XLA and TPUs take none.
    tensors = {k: tf.constant(v) for k, v in examples.items() if v.dtype.kind != "S"}

    def batch(indices):
        picked = {name: tf.gather(values, indices) for name, values in tensors.items()}
        return {**picked, "image": tf.cast(picked["image"], tf.float32)}

    return positions.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)

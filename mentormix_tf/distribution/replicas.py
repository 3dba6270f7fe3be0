"""One train step on several replicas: what they share, and the loop that runs them.

Keras 3's own loop fails with several workers, with more than one step per execution and with XLA on
more than one replica; `ReplicatedModel` has one that does not. On one replica Keras's own is used.
"""

import tensorflow as tf

NO_PART = (
    "A batch has fewer examples than there are replicas: leave it out, by drop_remainder=True "
    "where the data set is batched, or choose a batch size that leaves more for the last batch."
)


def count():
    """The number of replicas that take part in the running step; 1 outside of one."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def gather(values):
    """The values of every replica, one replica's after the other's.

    Args:
        values: `[replica batch, ...]`.

    Returns:
        `[global batch, ...]`, the same on every replica.
    """
    if count() == 1:
        return values
    return tf.distribute.get_replica_context().all_gather(values, axis=0)


def global_size(values):
    """The number of examples in the global batch, float32, given a replica's `[batch, ...]`."""
    size = tf.cast(tf.shape(values)[0], tf.float32)
    if _is_shared_out_evenly(values):
        return size * count()
    return tf.distribute.get_replica_context().all_reduce("SUM", size)


def check_part(values):
    """Makes a step fail in which this replica has no example: BatchNorm would turn to NaN.

    Args:
        values: `[batch, ...]`, a replica's part of the batch.
    """
    if not _is_shared_out_evenly(values):
        tf.debugging.assert_positive(tf.shape(values)[0], NO_PART)


def average(variables):
    """Sets each variable to its mean over the replicas.

    Args:
        variables: floating-point Keras variables whose copies may differ.
    """
    if count() == 1 or not variables:
        return
    context = tf.distribute.get_replica_context()
    # Tensors: of variables, several workers can't make a mean.
    means = context.all_reduce("MEAN", [tf.identity(variable.value) for variable in variables])
    for variable, mean in zip(variables, means, strict=True):
        variable.assign(mean)


def _is_shared_out_evenly(values):
    """Whether every replica's part is known to be as large as this one's.

    Replicas run one graph: a size that is known in it is the size of all.
    """
    return count() == 1 or (values.shape[0] is not None and not tf.executing_eagerly())


def apply_gradients(optimizer, gradients, variables):
    """Takes one step along the sum of the replicas' gradients.

    A Keras optimizer clips what it is given and sums over replicas after that. Where it clips,
    the sum is made and clipped here first: each replica's equal part of it is small enough to pass.

    Args:
        optimizer: `keras.optimizers.Optimizer`.
        gradients: this replica's part of each gradient; None for a variable without one.
        variables: the Keras variables.
    """
    clips = (optimizer.clipnorm, optimizer.global_clipnorm, optimizer.clipvalue)
    if count() > 1 and any(clips):
        used = [i for i, gradient in enumerate(gradients) if gradient is not None]
        sums = tf.distribute.get_replica_context().all_reduce("SUM", [gradients[i] for i in used])
        if optimizer.clipnorm:
            sums = [tf.clip_by_norm(gradient, optimizer.clipnorm) for gradient in sums]
        elif optimizer.global_clipnorm:
            sums, _ = tf.clip_by_global_norm(sums, optimizer.global_clipnorm)
        else:
            limit = optimizer.clipvalue
            sums = [tf.clip_by_value(gradient, -limit, limit) for gradient in sums]
        gradients = list(gradients)
        for i, gradient in zip(used, sums, strict=True):
            gradients[i] = gradient / count()
    optimizer.apply_gradients(zip(gradients, variables, strict=True))

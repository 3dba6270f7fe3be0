"""What the replicas of a running train step share: sums, means and gathered values.

Call these inside `strategy.run`; on one replica they cost nothing.
"""

import keras
import tensorflow as tf

from mentormix_tf.distribution import keras_internals

CLIPPING = ("clipnorm", "global_clipnorm", "clipvalue")  # arguments of Keras's optimizers
NO_PART = (
    "A batch has fewer examples than there are replicas: leave it out, by drop_remainder=True "
    "where the data set is batched, or choose a batch size that leaves more for the last batch."
)


def count() -> int:
    """Returns the number of replicas that run this step; 1 outside a step."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def gather(values: tf.Tensor) -> tf.Tensor:
    """Concatenates the values of all replicas, in the order of the replicas.

    Args:
        values: `[replica batch, ...]`.

    Returns:
        `[global batch, ...]`, the same on every replica.
    """
    if count() == 1:
        return values
    return tf.distribute.get_replica_context().all_gather(values, axis=0)


def global_size(values: tf.Tensor) -> tf.Tensor:
    """Returns the number of examples in the global batch.

    Args:
        values: `[batch, ...]`, this replica's part of the batch.

    Returns:
        Scalar, float32, the same on every replica.
    """
    size = tf.cast(tf.shape(values)[0], tf.float32)
    if _is_shared_out_evenly(values):
        return size * count()
    return tf.distribute.get_replica_context().all_reduce("SUM", size)


def check_part(values: tf.Tensor) -> None:
    """Fails the step if this replica has no examples, which would turn BatchNorm to NaN.

    Args:
        values: `[batch, ...]`, this replica's part of the batch.
    """
    if not _is_shared_out_evenly(values):
        tf.debugging.assert_positive(tf.shape(values)[0], NO_PART)


def average(variables: list[keras.Variable]) -> None:
    """Sets each variable to its mean over the replicas.

    Args:
        variables: floating-point Keras variables whose copies may differ.
    """
    if count() == 1 or not variables:
        return
    context = tf.distribute.get_replica_context()
    # Several workers can average tensors, but not variables.
    means = context.all_reduce("MEAN", [tf.identity(variable.value) for variable in variables])
    for variable, mean in zip(variables, means, strict=True):
        variable.assign(mean)


def _is_shared_out_evenly(values):
    """Whether every replica's part is known to be as large as this one's.

    Replicas run the same graph: a size known when it is traced holds for all of them.
    """
    return count() == 1 or (values.shape[0] is not None and not tf.executing_eagerly())


def apply_gradients(
    optimizer: keras.Optimizer,
    gradients: list[tf.Tensor | None],
    variables: list[keras.Variable],
) -> None:
    """Takes one step along the sum of the replicas' gradients.

    A Keras optimizer clips the gradients of each replica and then sums them. So if it clips, this
    sums and clips first: each replica's equal part of the result is too small to be clipped again.

    Args:
        optimizer: the optimizer, which may clip.
        gradients: this replica's part of each gradient; None for a variable without one.
        variables: the variables, in the order of the gradients.
    """
    clipnorm, global_clipnorm, clipvalue = (
        keras_internals.optimizer_argument(optimizer, name) for name in CLIPPING
    )
    if count() > 1 and (clipnorm or global_clipnorm or clipvalue):
        used = [i for i, gradient in enumerate(gradients) if gradient is not None]
        sums = tf.distribute.get_replica_context().all_reduce("SUM", [gradients[i] for i in used])
        if clipnorm:
            sums = [tf.clip_by_norm(gradient, clipnorm) for gradient in sums]
        elif global_clipnorm:
            sums, _ = tf.clip_by_global_norm(sums, global_clipnorm)
        else:
            sums = [tf.clip_by_value(gradient, -clipvalue, clipvalue) for gradient in sums]
        gradients = list(gradients)
        for i, gradient in zip(used, sums, strict=True):
            gradients[i] = gradient / count()
    optimizer.apply_gradients(zip(gradients, variables, strict=True))

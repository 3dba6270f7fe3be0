"""Collectives between the replicas of a train step: sums, means and gathered values.

Call these inside `strategy.run`; on one replica they cost nothing.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from mentormix_tf.distribution import keras_internals

__all__ = [
    "CLIPPING",
    "NO_PART",
    "apply_gradients",
    "assign",
    "average",
    "check_part",
    "count",
    "gather",
    "global_size",
    "sum_gradients",
]

CLIPPING = ("clipnorm", "global_clipnorm", "clipvalue")  # arguments of Keras's optimizers
NO_PART = (
    "A batch has fewer examples than there are replicas: drop it with batch(..., "
    "drop_remainder=True), or choose a batch size that leaves more examples for the last batch."
)


def count() -> int:
    """Returns the number of replicas that run this step; 1 outside a strategy."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def gather(values: tf.Tensor) -> tf.Tensor:
    """Concatenates the values of all replicas, in replica order.

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
    """Fails the step if this replica has no examples, which would make BatchNorm's output NaN.

    Args:
        values: `[batch, ...]`, this replica's part of the batch.
    """
    if not _is_shared_out_evenly(values):
        tf.debugging.assert_positive(tf.shape(values)[0], NO_PART)


def average(variables: Sequence[keras.Variable]) -> None:
    """Sets each variable to its mean over the replicas.

    Args:
        variables: floating-point Keras variables whose copies may differ.
    """
    if count() == 1 or not variables:
        return
    context = tf.distribute.get_replica_context()
    # MultiWorkerMirroredStrategy can average tensors, but not variables.
    means = context.all_reduce("MEAN", [tf.identity(variable.value) for variable in variables])
    for variable, mean in zip(variables, means, strict=True):
        variable.assign(mean)


def assign(variables: Sequence[keras.Variable], values: Sequence[tf.Tensor]) -> None:
    """Assigns values that are the same on every replica, to variables of any aggregation.

    Args:
        variables: Keras variables.
        values: a value for each.
    """
    if count() == 1:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return

    def update(strategy, *values):
        for variable, value in zip(variables, values, strict=True):
            strategy.extended.update(
                variable.value, lambda each, new: each.assign(new), args=(value,), group=False
            )

    tf.distribute.get_replica_context().merge_call(update, args=tuple(values))


def _is_shared_out_evenly(values):
    """Whether all replicas' parts of the batch are known to have one size.

    Replicas run the same graph, so a size that is known when it is traced holds for all of them.
    """
    return count() == 1 or (values.shape[0] is not None and not tf.executing_eagerly())


def sum_gradients(gradients: Sequence[Any]) -> list[Any]:
    """Sums gradients over the replicas.

    Args:
        gradients: this replica's part of each gradient, a tensor or `tf.IndexedSlices`.

    Returns:
        The gradient of the global batch, the same on every replica.
    """
    if count() == 1:
        return list(gradients)
    return tf.distribute.get_replica_context().all_reduce("SUM", list(gradients))


def apply_gradients(
    optimizer: keras.Optimizer,
    gradients: Sequence[tf.Tensor | tf.IndexedSlices | None],
    variables: Sequence[keras.Variable],
) -> None:
    """Takes an optimizer step with the sum of the replicas' gradients.

    A Keras optimizer clips the gradients of each replica and then sums them. If it clips, this
    function sums and clips first, and then gives each replica an equal part of the result, which
    is too small to be clipped again.

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
        sums = sum_gradients([gradients[i] for i in used])
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

"""Sharpness-aware minimization (SAM): the weights uphill, where a step takes its gradient.

Foret et al., "Sharpness-Aware Minimization for Efficiently Improving Generalization", ICLR 2021.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from mentormix_tf.distribution import replicas
from mentormix_tf.errors import InputError

__all__ = ["check_rho", "in_place_of", "uphill"]


def check_rho(sam_rho: float) -> None:
    """Checks the length of the step uphill.

    Raises:
        InputError: it is negative or not finite.
    """
    if not 0.0 <= sam_rho < math.inf:
        raise InputError(f"sam_rho={sam_rho} must be a number of at least 0.")


def uphill(
    variables: Sequence[keras.Variable],
    gradients: Sequence[tf.Tensor | tf.IndexedSlices | None],
    rho: float,
) -> list[tf.Tensor]:
    """Computes w + ρ·g/‖g‖₂, with the norm over all variables together (equation 2, p = 2).

    Args:
        variables: the weights w.
        gradients: this replica's part of the gradient of each; None for a weight without one. g is
            their sum over the replicas, the gradient of the global batch.
        rho: the distance ρ.

    Returns:
        The values of the weights uphill, with their shapes and dtypes; w itself where g is 0.
    """
    used = [i for i, gradient in enumerate(gradients) if gradient is not None]
    values = [tf.convert_to_tensor(variable) for variable in variables]
    if not used:
        return values
    sums = replicas.sum_gradients([gradients[i] for i in used])
    # Dense, since the norm of an embedding's gradient needs the sum of its repeated rows.
    sums = [tf.convert_to_tensor(gradient) for gradient in sums]
    norm = tf.linalg.global_norm(sums)
    for i, gradient in zip(used, sums, strict=True):
        values[i] += rho * tf.math.divide_no_nan(gradient, norm)
    return values


@contextlib.contextmanager
def in_place_of(variables: Sequence[keras.Variable], values: Sequence[tf.Tensor]) -> Iterator[None]:
    """Uses values in place of variables within a `with` statement, where nothing else is kept.

    Updates of variables, such as BatchNorm's moving statistics, are discarded at its end.

    Args:
        variables: Keras variables.
        values: a tensor for each, through which gradients can flow.
    """
    with keras.StatelessScope(zip(variables, values, strict=True), collect_losses=True):
        yield

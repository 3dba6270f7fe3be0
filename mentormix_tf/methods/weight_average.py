"""The moving average of a network's weights, which the released code evaluates."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

__all__ = ["WeightAverage"]


class WeightAverage(keras.layers.Layer):
    """w̄ ← d·w̄ + (1 - d)·w after each step t = 0, 1, ..., with d = min(decay, (1 + t) / (10 + t)).

    The ramp of d matters in short runs: with 0.9999 throughout, the initial weights would still be
    a third of w̄ after 10,000 steps. (Released code: tf.train.ExponentialMovingAverage with
    num_updates.) BatchNorm's moving statistics, being averages already, are not included.

    Args:
        decay: the final d, in (0, 1).
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, decay: float, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.decay = decay

    def start(self, weights: Sequence[keras.Variable]) -> None:
        """Creates the averages, initially equal to the weights.

        Args:
            weights: the variables to average.
        """
        self.averages = [
            self.add_weight(
                name=f"average_{i}", shape=weight.shape, initializer="zeros", trainable=False
            )
            for i, weight in enumerate(weights)
        ]
        if tf.executing_eagerly():  # else a model is being loaded, its averages included
            for average, weight in zip(self.averages, weights, strict=True):
                average.assign(weight.numpy())
        self.built = True

    def update(self, weights: Sequence[keras.Variable], step: tf.Tensor) -> None:
        """Updates the averages after a step.

        Args:
            weights: the variables, in the order of `start`.
            step: scalar, the number of earlier steps.
        """
        step = tf.cast(step, tf.float32)
        decay = tf.minimum(self.decay, (1.0 + step) / (10.0 + step))
        for average, weight in zip(self.averages, weights, strict=True):
            value = tf.cast(tf.convert_to_tensor(weight), tf.float32)
            average.assign(decay * average + (1.0 - decay) * value)

    @contextlib.contextmanager
    def in_place_of(self, weights: Sequence[keras.Variable]) -> Iterator[None]:
        """Replaces the weights by their averages within a `with` statement, then restores them.

        Args:
            weights: the variables, in the order of `start`.
        """
        learned = [weight.numpy() for weight in weights]
        try:
            for weight, average in zip(weights, self.averages, strict=True):
                weight.assign(average.numpy())
            yield
        finally:
            for weight, value in zip(weights, learned, strict=True):
                weight.assign(value)

"""The moving average of a network's weights, which the released code evaluates."""

import contextlib

import keras
import tensorflow as tf


class WeightAverage(keras.layers.Layer):
    """w̄ ← d·w̄ + (1 - d)·w after each step t = 0, 1, ..., with d = min(decay, (1 + t) / (10 + t)).

    The ramp of d matters in short runs: with 0.9999 throughout, a third of w̄ would still be the
    initial weights after 10,000 steps. (Released code: tf.train.ExponentialMovingAverage with its
    number of updates given.) BatchNorm's moving statistics are averages already and not in it.

    Args:
        decay: in (0, 1).
    """

    def __init__(self, decay: float, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.decay = decay

    def start(self, weights):
        """Makes the averages, which begin at the weights as they are.

        Args:
            weights: Keras variables.
        """
        self.averages = [
            self.add_weight(
                name=f"average_{i}",
                shape=weight.shape,
                initializer=keras.initializers.Constant(weight.numpy()),
                trainable=False,
            )
            for i, weight in enumerate(weights)
        ]
        self.built = True

    def update(self, weights, step):
        """Moves the averages.

        Args:
            weights: the Keras variables, in the same order.
            step: scalar, how many steps came before this one.
        """
        step = tf.cast(step, tf.float32)
        decay = tf.minimum(self.decay, (1.0 + step) / (10.0 + step))
        for average, weight in zip(self.averages, weights, strict=True):
            value = tf.cast(tf.convert_to_tensor(weight), tf.float32)
            average.assign(decay * average + (1.0 - decay) * value)

    @contextlib.contextmanager
    def in_place_of(self, weights):
        """Lets the averages take the place of the weights for a while, as for an evaluation.

        Args:
            weights: the Keras variables, in the same order.
        """
        learned = [weight.numpy() for weight in weights]
        try:
            for weight, average in zip(weights, self.averages, strict=True):
                weight.assign(average.numpy())
            yield
        finally:
            for weight, value in zip(weights, learned, strict=True):
                weight.assign(value)

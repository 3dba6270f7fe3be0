"""The weights that a training began with, to which a method can go back in the middle of it."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from mentormix_tf.distribution import replicas

__all__ = ["StartWeights"]


class StartWeights(keras.layers.Layer):
    """Copies of weights as they were when training began, saved with the model."""

    def create(self, weights: Sequence[keras.Variable]) -> None:
        """Creates the copies.

        Args:
            weights: the variables to keep copies of.
        """
        self.copies = [
            self.add_weight(
                name=f"start_{i}",
                shape=weight.shape,
                dtype=weight.dtype,
                initializer="zeros",
                trainable=False,
            )
            for i, weight in enumerate(weights)
        ]
        self.built = True

    def remember(self, weights: Sequence[keras.Variable]) -> None:
        """Makes the copies equal to the weights; called outside the replicas.

        Args:
            weights: the variables, in the order of `create`.
        """
        for copy, weight in zip(self.copies, weights, strict=True):
            copy.assign(weight.numpy())

    def restore(self, weights: Sequence[keras.Variable], now: tf.Tensor) -> None:
        """Sets the weights back, if it is time.

        Args:
            weights: the variables, in the order of `create`.
            now: scalar, bool, the same on every replica.
        """
        values = [
            tf.where(now, tf.cast(tf.convert_to_tensor(copy), weight.dtype), weight.value)
            for copy, weight in zip(self.copies, weights, strict=True)
        ]
        replicas.assign(weights, values)

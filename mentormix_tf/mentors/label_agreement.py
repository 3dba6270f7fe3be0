"""Estimates the share of right labels while training, for `gamma_p=auto`."""

from typing import Any

import keras
import tensorflow as tf

from mentormix_tf.distribution import replicas

__all__ = ["LabelAgreement"]

_DECAY = 0.98  # of the moving average: about the last 50 steps


class LabelAgreement(keras.layers.Layer):
    """How often the network predicts the labels that it is given, as a moving average.

    A network that does not memorize wrong labels predicts the true class of most examples. So the
    share of labels that it agrees with grows from chance to about the share of right labels, and a
    mentor that follows this percentile trusts more labels as the network learns, but no more than
    it agrees with.

    Measured on the logits of the step's first pass, before the weights change. (This is not in the
    paper, where γ_p is given.)
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.total = self._sum("total")
        self.count = self._sum("count")
        self.built = True

    def call(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Updates the average with a batch and returns it.

        Args:
            labels: `[batch, num_classes]`, float32, this replica's part of the labels.
            logits: `[batch, num_classes]`, float32.

        Returns:
            Scalar, float32, in [0, 1], the same on every replica.
        """
        agrees = tf.argmax(labels, axis=1) == tf.argmax(logits, axis=1)
        mean = tf.reduce_mean(replicas.gather(tf.cast(agrees, tf.float32)))
        self.total.assign(_DECAY * self.total + (1.0 - _DECAY) * mean)
        self.count.assign(_DECAY * self.count + (1.0 - _DECAY))
        return self.average()

    def average(self) -> tf.Tensor:
        """The average so far: scalar, float32; NaN before the first batch."""
        return tf.convert_to_tensor(self.total) / tf.convert_to_tensor(self.count)

    def _sum(self, name):
        return self.add_weight(
            name=name,
            shape=(),
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )

"""Estimates the share of right labels while training, for `gamma_p=auto`."""

from typing import Any

import keras
import tensorflow as tf

from mentormix_tf.distribution import replicas

__all__ = ["LabelAgreement"]

_DECAY = 0.98  # of the moving average: about the last 50 steps
_FIRST = 0.5  # the least share of labels to trust when training starts; at its end, 0


class LabelAgreement(keras.layers.Layer):
    """γ_p from how often the network predicts the labels that it is given.

    A network that does not memorize wrong labels predicts the true class of most examples. So the
    share of labels that it agrees with, a moving average, grows from chance to about the share of
    right labels, and a mentor whose γ_p follows it trusts more labels as the network learns.

    A network that learns slowly would agree with few labels, be taught by few, and learn more
    slowly still. So γ_p is at least (1 - progress) / 2: at first half of the labels are trusted,
    those of the lower losses, and fewer later, when networks memorize. (Co-teaching lowers its
    share of trusted examples, too: Han et al. 2018. None of this is in the paper, where γ_p is
    given.)

    Measured on the logits of the step's first pass, before the weights change.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.total = self._sum("total")
        self.count = self._sum("count")
        self.built = True

    def call(self, labels: tf.Tensor, logits: tf.Tensor, progress: tf.Tensor | float) -> tf.Tensor:
        """Updates the average with a batch and returns γ_p.

        Args:
            labels: `[batch, num_classes]`, float32, this replica's part of the labels.
            logits: `[batch, num_classes]`, float32.
            progress: scalar, float32, in [0, 1], the fraction of training that is done.

        Returns:
            Scalar, float32, in [0, 1], the same on every replica.
        """
        agrees = tf.argmax(labels, axis=1) == tf.argmax(logits, axis=1)
        mean = tf.reduce_mean(replicas.gather(tf.cast(agrees, tf.float32)))
        self.total.assign(_DECAY * self.total + (1.0 - _DECAY) * mean)
        self.count.assign(_DECAY * self.count + (1.0 - _DECAY))
        return self.gamma_p(progress)

    def gamma_p(self, progress: tf.Tensor | float) -> tf.Tensor:
        """γ_p after the batches so far: scalar, float32, in [0, 1]; NaN before the first."""
        return tf.maximum(self.average(), _FIRST * (1.0 - progress))

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

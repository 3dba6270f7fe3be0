"""The passes of a train step through the network, which XLA compiles one by one on several GPUs."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from mentormix_tf.methods import sam
from mentormix_tf.methods.checked_model import CheckedModel

__all__ = ["NetworkPasses"]


class NetworkPasses(CheckedModel):
    """A Keras model with the passes that a train step makes through its network.

    Logits are float32, whatever the network's compute dtype, and in training at most `logit_clip`
    long.
    """

    logit_clip = 0.0  # the largest norm of an example's logits in training; 0 for no limit

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._first_pass = self._pass_without_trace
        self._learning_pass = self._pass_with_losses
        self._uphill_pass = self._pass_with_values

    def make_train_function(self, force: bool = False) -> Callable | None:
        self._first_pass = self.compiled_pass(self._pass_without_trace)
        self._learning_pass = self.compiled_pass(self._pass_with_losses)
        self._uphill_pass = self.compiled_pass(self._pass_with_values)
        return super().make_train_function(force)

    def first_pass_logits(self, images: tf.Tensor) -> tf.Tensor:
        """Computes logits as in training, without changing the network's state.

        BatchNorm uses the statistics of this batch. Updates of moving statistics and of seed
        generators are discarded, so that Dropout draws the same mask in the training pass. (As in
        the released code.)

        Args:
            images: `[batch, ...]`, float32.

        Returns:
            `[batch, num_classes]`, float32.
        """
        return self._first_pass(images)

    def learning_pass(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Makes the pass that the network learns from, and that updates its state.

        Args:
            images: `[batch, ...]`, float32.

        Returns:
            Logits `[batch, num_classes]`, float32, and the scalar of `regularization`.
        """
        return self._learning_pass(images)

    def uphill_pass(
        self, images: tf.Tensor, values: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Makes a pass with other values of the trainable weights, which changes no variable.

        Args:
            images: `[batch, ...]`, float32.
            values: a tensor for each of `trainable_weights`, to which gradients can flow.

        Returns:
            As `learning_pass`.
        """
        return self._uphill_pass(images, values)

    def clipped(self, logits: tf.Tensor) -> tf.Tensor:
        """Scales the logits of each example to the norm `logit_clip`, if theirs is larger.

        Args:
            logits: `[batch, num_classes]`, float32.

        Returns:
            As `logits`, which are returned as they are if `logit_clip` is 0.
        """
        return tf.clip_by_norm(logits, self.logit_clip, axes=[1]) if self.logit_clip else logits

    def regularization(self) -> tf.Tensor:
        """Computes the term that is added to the mean loss; scalar, float32."""
        raise NotImplementedError

    def _logits(self, images, training):
        logits = tf.cast(self(images, training=training), tf.float32)
        return self.clipped(logits) if training else logits

    def _pass_with_losses(self, images):
        # Together: losses that layers add can leave a compiled pass only as its result.
        return self._logits(images, training=True), self.regularization()

    def _pass_without_trace(self, images):
        with keras.StatelessScope():
            return self._logits(images, training=True)

    def _pass_with_values(self, images, values):
        with sam.in_place_of(self.trainable_weights, values):
            return self._pass_with_losses(images)

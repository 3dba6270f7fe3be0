"""The simplest mentor: trust examples with a small loss."""

import keras
import tensorflow as tf

from mentormix_tf.mentors.base import Mentor

__all__ = ["ThresholdMentor"]


@keras.saving.register_keras_serializable("mentormix_tf")
class ThresholdMentor(Mentor):
    """v = 1 where the loss lies below γ, else 0 (Algorithm 1, step 4, its simplest form).

    Takes the arguments of `Mentor`.
    """

    def weigh(
        self, losses: tf.Tensor, gamma: tf.Tensor | float, progress: tf.Tensor | float
    ) -> tf.Tensor:
        return tf.cast(losses < gamma, tf.float32)

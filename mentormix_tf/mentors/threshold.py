"""The simplest mentor: trust what has a small loss."""

import keras
import tensorflow as tf

from mentormix_tf.mentors.base import Mentor


@keras.saving.register_keras_serializable("mentormix_tf")
class ThresholdMentor(Mentor):
    """v = 1 where the loss lies below γ, else 0 (Algorithm 1, step 4, its simplest form).

    Args: see `Mentor`.
    """

    def weigh(self, losses, gamma, progress):
        return tf.cast(losses < gamma, tf.float32)

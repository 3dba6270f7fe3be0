"""How the learning rate goes: schedules by name, and warming up.

Whole recipes are flagfiles: flags/recipes/released.flags is the released code's for CIFAR,
flags/recipes/common.flags one of those that later papers share.
"""

import keras
import tensorflow as tf


def learning_rate(config):
    """The learning rate at each step.

    Args:
        config: `TrainingConfig`.

    Returns:
        `keras.optimizers.schedules.LearningRateSchedule`.
    """
    steps = config.train_steps - config.warmup_steps
    schedules = keras.optimizers.schedules
    after = {
        "cosine": schedules.CosineDecay(config.learning_rate, steps),
        "staircase": schedules.ExponentialDecay(
            config.learning_rate, config.decay_every, config.decay_rate, staircase=True
        ),
        "constant": schedules.PiecewiseConstantDecay([0], [config.learning_rate] * 2),
    }[config.schedule]
    return (
        WarmUp(config.learning_rate, config.warmup_steps, after) if config.warmup_steps else after
    )


@keras.saving.register_keras_serializable("mentormix_tf")
class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Rises in a line from 0 to the initial rate, then follows another schedule from its start.

    Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2.2.

    Args:
        initial_learning_rate: the rate at the end of the rise.
        warmup_steps: length of the rise, at least 1.
        after: `LearningRateSchedule` that follows.
    """

    def __init__(self, initial_learning_rate, warmup_steps, after):
        super().__init__()
        self.initial_learning_rate = initial_learning_rate
        self.warmup_steps = warmup_steps
        self.after = after

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        rising = self.initial_learning_rate * step / self.warmup_steps
        following = self.after(tf.maximum(step - self.warmup_steps, 0.0))
        return tf.where(step < self.warmup_steps, rising, following)

    def get_config(self):
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "warmup_steps": self.warmup_steps,
            "after": keras.saving.serialize_keras_object(self.after),
        }

    @classmethod
    def from_config(cls, config):
        after = keras.saving.deserialize_keras_object(config["after"])
        return cls(**{**config, "after": after})

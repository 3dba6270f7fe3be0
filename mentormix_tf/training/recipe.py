"""Learning-rate schedules by name, and linear warm-up.

Complete recipes are flagfiles: flags/recipes/released.flags is the released code's for CIFAR,
flags/recipes/common.flags is one that later papers share.
"""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from mentormix_tf.config import TrainingConfig

__all__ = ["LearningRateSchedule", "WarmUp", "learning_rate"]

LearningRateSchedule = keras.optimizers.schedules.LearningRateSchedule


def learning_rate(config: TrainingConfig) -> LearningRateSchedule:
    """Makes the learning-rate schedule that a config describes."""
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
class WarmUp(LearningRateSchedule):
    """Rises linearly from 0 to the initial rate, then follows another schedule from its start.

    Source: Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 2.2.

    Args:
        initial_learning_rate: the rate at the end of the warm-up.
        warmup_steps: the number of steps of the warm-up, at least 1.
        after: the schedule that follows.
    """

    def __init__(
        self, initial_learning_rate: float, warmup_steps: int, after: LearningRateSchedule
    ):
        super().__init__()
        self.initial_learning_rate = initial_learning_rate
        self.warmup_steps = warmup_steps
        self.after = after

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        rising = self.initial_learning_rate * step / self.warmup_steps
        following = self.after(tf.maximum(step - self.warmup_steps, 0.0))
        return tf.where(step < self.warmup_steps, rising, following)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "warmup_steps": self.warmup_steps,
            "after": keras.saving.serialize_keras_object(self.after),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "WarmUp":
        after = keras.saving.deserialize_keras_object(config["after"])
        return cls(**{**config, "after": after})

"""Learning-rate schedules by name, linear warm-up, and a learning rate of its own for the backbone.

Complete recipes are flagfiles: flags/recipes/released.flags is the released code's for CIFAR,
flags/recipes/common.flags is one that later papers share.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from mentormix_tf.config import TrainingConfig

__all__ = ["BackboneSGD", "LearningRateSchedule", "WarmUp", "learning_rate", "optimizer"]

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


def optimizer(
    config: TrainingConfig, schedule: LearningRateSchedule, backbone: Iterable[keras.Layer]
) -> keras.optimizers.SGD:
    """Makes the optimizer that a config describes.

    Args:
        config: the settings.
        schedule: the learning rate; the backbone's has the same course.
        backbone: the network's layers without its head.
    """
    if config.backbone_learning_rate is None:
        return keras.optimizers.SGD(schedule, momentum=config.momentum)  # pyright: ignore[reportArgumentType]
    return BackboneSGD(
        schedule,
        momentum=config.momentum,
        ratio=config.backbone_learning_rate / config.learning_rate,
        backbone=[weight.path for layer in backbone for weight in layer.weights],
    )


@keras.saving.register_keras_serializable("mentormix_tf")
class BackboneSGD(keras.optimizers.SGD):
    """SGD with another learning rate for some variables.

    Their gradients are multiplied by the ratio of the learning rates, which is the same, as each
    step is linear in the gradients.

    Args:
        learning_rate: the learning rate, or its schedule.
        momentum: momentum, in [0, 1).
        ratio: the backbone's learning rate, divided by that of the others.
        backbone: the paths of the backbone's variables.
        **kwargs: other arguments of `keras.optimizers.SGD`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        *,
        ratio: float,
        backbone: Sequence[str],
        **kwargs: Any,
    ):
        super().__init__(learning_rate, momentum, **kwargs)
        self.ratio = ratio
        self.backbone = frozenset(backbone)

    def apply(self, grads: Sequence[Any], trainable_variables: Any = ()) -> Any:
        variables = list(trainable_variables)
        scaled = [
            tf.math.scalar_mul(self.ratio, gradient)
            if gradient is not None and variable.path in self.backbone
            else gradient
            for gradient, variable in zip(grads, variables, strict=True)
        ]
        return super().apply(scaled, variables)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ratio": self.ratio, "backbone": sorted(self.backbone)}


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

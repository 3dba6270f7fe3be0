"""What training is made of besides the method: learning-rate schedules and weight decay.

The released code's recipe is flags/recipes/released.flags; flags/recipes/common.flags is that of most
later papers.
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


def decay_weights(network, rate):
    """Adds rate · Σ W² over the kernels of convolutions and dense layers to a network's losses.

    Biases and BatchNorm are left alone, as in the released code, whose 2e-4 · Σ ½W² is a rate of 1e-4.

    Args:
        network: built Keras network.
        rate: float; 0 adds nothing.
    """
    if not rate:
        return
    for layer in network._flatten_layers():
        for name in ("kernel", "depthwise_kernel", "pointwise_kernel"):
            kernel = getattr(layer, name, None)
            if isinstance(kernel, keras.Variable):
                # In the layer's config, which a saved model is built from, and in the variable.
                regularizer = keras.regularizers.L2(rate)
                setattr(layer, f"{name.removesuffix('_kernel')}_regularizer", regularizer)
                kernel.regularizer = regularizer

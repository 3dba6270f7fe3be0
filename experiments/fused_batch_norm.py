"""Measures what TensorFlow's fused BatchNorm would save of a training step of resnet32_thin.

    TF_ENABLE_ONEDNN_OPTS=1 python -m experiments.fused_batch_norm

Keras computes BatchNorm by separate operations. Steps of plain training of 128 images take turns.
"""

import keras
import tensorflow as tf

from benchmarks import harness, steps
from mentormix_tf.networks import resnet

SHAPE = (32, 32, 3)


class FusedBatchNorm(keras.layers.BatchNormalization):
    """BatchNorm by one kernel while it trains; its moving variance is not that of Keras."""

    def call(self, inputs, training=None, mask=None):
        if not training:
            return super().call(inputs, training=training)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )[:3]
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        return outputs


def _as_fused(layer):
    is_norm = type(layer) is keras.layers.BatchNormalization
    return FusedBatchNorm.from_config(layer.get_config()) if is_norm else layer


def main():
    plain, data = resnet.resnet32_thin(SHAPE, 10), steps.columns(128, SHAPE)
    fused = keras.models.clone_model(plain, clone_function=_as_fused)
    contenders = {
        name: steps.stepper(steps.build("vanilla", network), data)
        for name, network in {"Keras's BatchNorm": plain, "fused BatchNorm": fused}.items()
    }
    times = harness.alternate(contenders, 10)
    print(harness.table(harness.summary(times, "resnet32_thin", items=128)))


if __name__ == "__main__":
    main()

"""Cross-entropy with a penalty on large weights."""

import math

import keras

from mentormix_tf.errors import InputError
from mentormix_tf.methods.base import NoisyLabelModel


@keras.saving.register_keras_serializable("mentormix_tf")
class WeightDecay(NoisyLabelModel):
    """Vanilla training with an l2 penalty, the "WeightDecay" row of the paper's Table 2.

    loss = mean cross-entropy + l2 · Σ W², over the kernels of dense and convolutional layers.
    Biases and BatchNorm go free. The paper tunes the rate; the default is that of MentorMix's
    released code, whose 2e-4 · Σ½W² is the same as 1e-4 here.

    Args:
        network: Keras network that gives logits `[batch, num_classes]`.
        num_classes: number of classes.
        l2: rate of the penalty, 0 or more.
        seed: see `NoisyLabelModel`.

    Raises:
        InputError: a rate out of range.
    """

    def __init__(self, network, num_classes: int, *, l2: float = 1e-4, **kwargs):
        super().__init__(network, num_classes, **kwargs)
        if not 0.0 <= l2 < math.inf:
            raise InputError(f"l2={l2} must be a number that is not negative.")
        self.l2 = l2

    def regularization(self):
        return super().regularization() + self.l2 * self.squared_kernels()

"""Cross-entropy with a penalty on large weights."""

import math
from typing import Any

import keras
import tensorflow as tf

from mentormix_tf.errors import InputError
from mentormix_tf.methods.base import NoisyLabelModel

__all__ = ["WeightDecay"]


@keras.saving.register_keras_serializable("mentormix_tf")
class WeightDecay(NoisyLabelModel):
    """Vanilla training with an l2 penalty, the "WeightDecay" row of the paper's Table 2.

    loss = mean cross-entropy + l2 · Σ W², over the kernels of dense and convolutional layers, not
    biases or BatchNorm. The paper tunes the coefficient; the default is that of MentorMix's
    released code, whose 2e-4 · Σ½W² is 1e-4 here.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        l2: coefficient of the penalty, 0 or more.
        **kwargs: see `NoisyLabelModel`.

    Raises:
        InputError: the coefficient is out of range.
    """

    def __init__(self, network: keras.Model, num_classes: int, *, l2: float = 1e-4, **kwargs: Any):
        super().__init__(network, num_classes, **kwargs)
        if not 0.0 <= l2 < math.inf:
            raise InputError(f"l2={l2} must be a finite number that is not negative.")
        self.l2 = l2

    def regularization(self) -> tf.Tensor:
        return super().regularization() + self.l2 * self.squared_kernels()

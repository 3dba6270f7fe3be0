"""Generalized cross-entropy: between cross-entropy and mean absolute error."""

import math

import keras
import tensorflow as tf

from mentormix_tf.errors import InputError
from mentormix_tf.methods.base import NoisyLabelModel


# Saved models have the class under its first name.
@keras.saving.register_keras_serializable("mentormix_tf", name="GeneralizedCrossEntropy")
class GCE(NoisyLabelModel):
    """Generalized cross-entropy, truncated (Zhang and Sabuncu, NeurIPS 2018).

    L_q = (1 - p_y^q) / q, where p_y is the softmax at the label: cross-entropy as q → 0, mean
    absolute error at q = 1. After the burn-in it is truncated: an example with p_y ≤ k costs the
    constant L_q(k), so it has no gradient.

    The published method prunes once every ten epochs: it passes over the whole training set and
    drops what has p_y ≤ k until the next time. Here each batch decides by its own p_y, as the
    step computes it: the loss is the published truncated loss, minimised directly. The published
    pruning starts at epoch 40 of 120.

    Labels that are not one-hot count by their cross-entropy: p_y = exp(-cross-entropy).

    Args:
        network: Keras network that gives logits `[batch, num_classes]`.
        num_classes: number of classes.
        q: in (0, 1]; how little a wrong label weighs.
        truncation: k, in [0, 1): examples whose label the network finds less likely are left out;
            0 leaves none out.
        burn_in: fraction of training, in [0, 1], in which every label is trusted.
        seed: see `NoisyLabelModel`.

    Raises:
        InputError: an argument out of range.
    """

    def __init__(
        self,
        network,
        num_classes: int,
        *,
        q: float = 0.7,
        truncation: float = 0.5,
        burn_in: float = 0.33,
        **kwargs,
    ):
        super().__init__(network, num_classes, **kwargs)
        if not 0.0 < q <= 1.0:
            raise InputError(f"q={q} must lie in (0, 1].")
        if not 0.0 <= truncation < 1.0:
            raise InputError(f"truncation={truncation} must lie in [0, 1).")
        if not 0.0 <= burn_in <= 1.0:
            raise InputError(f"burn_in={burn_in} must lie in [0, 1]: it is a fraction of training.")
        self.q = q
        self.truncation = truncation
        self.burn_in = burn_in

    def example_losses(self, batch, logits):
        # By its logarithm, p_y^q has a gradient however small p_y is.
        losses = super().example_losses(batch, logits)
        highest = -math.log(self.truncation) if self.truncation else math.inf
        left_out = (losses >= highest) & (self.progress() >= self.burn_in)
        losses = tf.where(left_out, highest, losses)
        return -tf.math.expm1(-self.q * losses) / self.q

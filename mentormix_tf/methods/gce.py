"""Generalized cross-entropy: between cross-entropy and mean absolute error."""

import math
from typing import Any

import keras
import tensorflow as tf

from mentormix_tf.errors import InputError
from mentormix_tf.methods import labels as label_forms
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.methods.batch import Batch

__all__ = ["GCE"]


# Saved models refer to the class by its former name.
@keras.saving.register_keras_serializable("mentormix_tf", name="GeneralizedCrossEntropy")
class GCE(NoisyLabelModel):
    """Generalized cross-entropy, truncated (Zhang and Sabuncu, NeurIPS 2018).

    L_q = (1 - p_y^q) / q, where p_y is the softmax at the label: cross-entropy as q → 0, mean
    absolute error at q = 1. After the burn-in it is truncated: an example with p_y ≤ k has the
    constant loss L_q(k), so it has no gradient.

    The published method prunes every ten epochs from epoch 40 of 120: it evaluates the whole
    training set and leaves out the examples with p_y ≤ k until the next time. Here each step uses
    the p_y that it computes itself, which minimizes the published truncated loss directly.

    For labels that are not one-hot, p_y = exp(-cross-entropy), which has to be at most 1.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        q: in (0, 1]; a larger q reduces the influence of wrong labels.
        truncation: k, in [0, 1); examples whose label has a lower predicted probability are left
            out; 0 leaves none out.
        burn_in: fraction of training, in [0, 1], in which every label is trusted.
        **kwargs: see `NoisyLabelModel`.

    Raises:
        InputError: an argument is out of range.
    """

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        *,
        q: float = 0.7,
        truncation: float = 0.5,
        burn_in: float = 0.33,
        **kwargs: Any,
    ):
        super().__init__(network, num_classes, **kwargs)
        if not 0.0 < q <= 1.0:
            raise InputError(f"q={q} must lie in (0, 1].")
        if not 0.0 <= truncation < 1.0:
            raise InputError(f"truncation={truncation} must lie in [0, 1).")
        if not 0.0 <= burn_in <= 1.0:
            raise InputError(f"burn_in={burn_in} must lie in [0, 1]: it is a fraction of training.")
        label_forms.check_smoothing(self.label_smoothing, "gce")
        self.q = q
        self.truncation = truncation
        self.burn_in = burn_in

    def example_losses(self, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        # Computed from log p_y, since p_y^q has no finite gradient where p_y underflows to 0.
        losses = super().example_losses(batch, logits)
        highest = -math.log(self.truncation) if self.truncation else math.inf
        left_out = (losses >= highest) & (self.progress() >= self.burn_in)
        losses = tf.where(left_out, highest, losses)
        return -tf.math.expm1(-self.q * losses) / self.q

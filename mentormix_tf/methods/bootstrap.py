"""Bootstrapping: targets that partly consist of the network's own predictions."""

from typing import Any, Literal

import keras
import tensorflow as tf

from mentormix_tf.errors import InputError
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.methods.batch import Batch

__all__ = ["BETAS", "Bootstrap", "Mode"]

Mode = Literal["soft", "hard"]
BETAS = {"soft": 0.95, "hard": 0.8}


@keras.saving.register_keras_serializable("mentormix_tf")
class Bootstrap(NoisyLabelModel):
    """Bootstrapping (Reed et al., "Training Deep Neural Networks on Noisy Labels", 2014).

    loss = -Σ_k (β·y_k + (1 - β)·z_k) · log p_k, where p is the network's softmax and z is p itself
    (soft) or one-hot at its most likely class (hard). In the soft form the gradient also flows
    through z, as published: it is cross-entropy with a penalty on entropy.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        bootstrap_mode: soft or hard.
        beta: share of the label in the target, in [0, 1]; by default the published 0.95 for soft
            and 0.8 for hard.
        **kwargs: see `NoisyLabelModel`.

    Raises:
        InputError: the mode is unknown, or the share is out of range.
    """

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        *,
        bootstrap_mode: Mode = "soft",
        beta: float | None = None,
        **kwargs: Any,
    ):
        super().__init__(network, num_classes, **kwargs)
        if bootstrap_mode not in BETAS:
            raise InputError(f"bootstrap_mode={bootstrap_mode} is unknown: choose soft or hard.")
        if beta is not None and not 0.0 <= beta <= 1.0:
            raise InputError(f"beta={beta} must lie in [0, 1].")
        self.bootstrap_mode = bootstrap_mode
        self.beta = BETAS[bootstrap_mode] if beta is None else beta

    def example_losses(self, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        if self.bootstrap_mode == "soft":
            guesses = tf.nn.softmax(logits)
        else:
            guesses = tf.one_hot(tf.argmax(logits, axis=1), self.num_classes)
        targets = self.beta * batch.labels + (1.0 - self.beta) * guesses
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)

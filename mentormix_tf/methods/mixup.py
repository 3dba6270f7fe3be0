"""Mixup: convex combinations of pairs of examples and of their labels."""

import math
from typing import Any

import keras
import tensorflow as tf

from mentormix_tf import mixing, randomness
from mentormix_tf.errors import InputError
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.methods.batch import Batch

__all__ = ["Mixup"]


@keras.saving.register_keras_serializable("mentormix_tf")
class Mixup(NoisyLabelModel):
    """Mixup (Zhang et al., ICLR 2018).

    x̃ = λ·x_i + (1 - λ)·x_j and ỹ = λ·y_i + (1 - λ)·y_j with λ ~ Beta(alpha, alpha); the loss is the
    cross-entropy of ỹ. The partner j is drawn uniformly from the replica's batch, with replacement;
    each pair has its own λ. (The authors' code shuffles the batch instead and draws one λ for all
    pairs.) The authors use an alpha of 0.2 to 0.4 on ImageNet, 1 on CIFAR, and 8 or 32 against
    wrong labels.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        alpha: λ ~ Beta(alpha, alpha); a large alpha mixes half and half, 0 or less disables mixing.
        **kwargs: see `NoisyLabelModel`.

    Raises:
        InputError: alpha is not finite.
    """

    def __init__(
        self, network: keras.Model, num_classes: int, *, alpha: float = 0.2, **kwargs: Any
    ):
        super().__init__(network, num_classes, **kwargs)
        if not math.isfinite(alpha):
            raise InputError(f"alpha={alpha} must be a finite number.")
        self.alpha = alpha
        if alpha > 0:
            self.watch.add("lambda")

    def mix(self, batch: Batch) -> Batch:
        if self.alpha <= 0:
            return batch
        seed, size = self.step_seed(), tf.shape(batch.labels)[:1]
        uniform = tf.fill(size, 1.0 / tf.cast(size[0], tf.float32))
        partners = mixing.sample_partners(uniform, randomness.fold_in(seed, 0))
        lam = mixing.sample_beta(size, self.alpha, randomness.fold_in(seed, 1))
        self.watch.values(**{"lambda": lam})
        return batch.mixed_up(partners, lam)

"""Losses that add up an active and a passive term: SCE, NCE+RCE and NCE+MAE.

An active loss, as the cross-entropy, only raises the probability of the label; a passive one also
lowers those of other classes (Ma et al., ICML 2020, who also show that each term of the last two
losses tolerates symmetric noise by itself).

With labels that are one-hot, the reverse cross-entropy is 9.21 · (1 - p_y): so NCE+RCE with β is
NCE+MAE with 9.21·β.
"""

import math
from typing import Any

import keras
import tensorflow as tf

from mentormix_tf.errors import InputError
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.methods.batch import Batch

__all__ = [
    "SCE",
    "SMALLEST",
    "NCEandMAE",
    "NCEandRCE",
    "mean_absolute_error",
    "normalized_cross_entropy",
    "reverse_cross_entropy",
]

SMALLEST = 1e-4  # log 0 is log(1e-4) = -9.21 in the reverse cross-entropy, as in the authors' code


def normalized_cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Computes the cross-entropy divided by the sum of those of all classes (Ma et al., 2020).

    Args:
        labels: `[batch, num_classes]`, float32, probabilities.
        logits: `[batch, num_classes]`, float32.

    Returns:
        `[batch]`, float32, in [0, 1].
    """
    log_p = tf.nn.log_softmax(logits)
    return tf.reduce_sum(labels * log_p, axis=1) / tf.reduce_sum(log_p, axis=1)


def reverse_cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Computes -Σ p·log y with log 0 = -9.21 (Wang et al., ICCV 2019, section 3).

    That is the constant of the authors' code. An author names -4 elsewhere: for that, multiply the
    weight of this term by 0.43.

    Args:
        labels: `[batch, num_classes]`, float32, probabilities.
        logits: `[batch, num_classes]`, float32.

    Returns:
        `[batch]`, float32.
    """
    log_labels = tf.math.log(tf.maximum(labels, SMALLEST))
    return -tf.reduce_sum(tf.nn.softmax(logits) * log_labels, axis=1)


def mean_absolute_error(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Computes 1 - Σ y·p, half of Σ |y - p| for labels that are one-hot, as the authors' code does.

    Args:
        labels: `[batch, num_classes]`, float32, probabilities.
        logits: `[batch, num_classes]`, float32.

    Returns:
        `[batch]`, float32, in [0, 1].
    """
    return 1.0 - tf.reduce_sum(labels * tf.nn.softmax(logits), axis=1)


class _TwoTerms(NoisyLabelModel):
    """A loss that is α times one term plus β times another."""

    def __init__(self, network, num_classes, alpha, beta, **kwargs):
        super().__init__(network, num_classes, **kwargs)
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not 0.0 <= value < math.inf:
                raise InputError(f"{name}={value} must be a number of at least 0.")
        if alpha == beta == 0.0:
            raise InputError(f"alpha={alpha} and beta={beta} must not both be 0.")
        self.alpha = alpha
        self.beta = beta


@keras.saving.register_keras_serializable("mentormix_tf")
class SCE(_TwoTerms):
    """Symmetric cross-entropy (Wang et al., ICCV 2019): α·ℓ + β·reverse cross-entropy.

    The defaults are published for CIFAR-10; α is 6 and β is 0.1 for CIFAR-100.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        alpha: α, the weight of the loss's first term, the (normalized) cross-entropy, 0 or more.
        beta: β, the weight of the loss's second term, which tolerates wrong labels, 0 or more.
        **kwargs: see `NoisyLabelModel`.

    Raises:
        InputError: an argument is out of range.
    """

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        *,
        alpha: float = 0.1,
        beta: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(network, num_classes, alpha, beta, **kwargs)

    def example_losses(self, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        cross_entropy = super().example_losses(batch, logits)
        return self.alpha * cross_entropy + self.beta * reverse_cross_entropy(batch.labels, logits)


@keras.saving.register_keras_serializable("mentormix_tf")
class NCEandRCE(_TwoTerms):
    """NCE+RCE (Ma et al., ICML 2020): α·normalized + β·reverse cross-entropy.

    The defaults are published for CIFAR-10; α is 10 and β is 0.1 for CIFAR-100.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        alpha: α, the weight of the loss's first term, the (normalized) cross-entropy, 0 or more.
        beta: β, the weight of the loss's second term, which tolerates wrong labels, 0 or more.
        **kwargs: see `NoisyLabelModel`.

    Raises:
        InputError: an argument is out of range.
    """

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        *,
        alpha: float = 1.0,
        beta: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(network, num_classes, alpha, beta, **kwargs)

    def example_losses(self, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        active = normalized_cross_entropy(batch.labels, logits)
        return self.alpha * active + self.beta * reverse_cross_entropy(batch.labels, logits)


@keras.saving.register_keras_serializable("mentormix_tf")
class NCEandMAE(_TwoTerms):
    """NCE+MAE (Ma et al., ICML 2020): α·normalized cross-entropy + β·mean absolute error.

    The defaults are published for CIFAR-10; α is 10 and β is 1 for CIFAR-100.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        alpha: α, the weight of the loss's first term, the (normalized) cross-entropy, 0 or more.
        beta: β, the weight of the loss's second term, which tolerates wrong labels, 0 or more.
        **kwargs: see `NoisyLabelModel`.

    Raises:
        InputError: an argument is out of range.
    """

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        *,
        alpha: float = 1.0,
        beta: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(network, num_classes, alpha, beta, **kwargs)

    def example_losses(self, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        active = normalized_cross_entropy(batch.labels, logits)
        return self.alpha * active + self.beta * mean_absolute_error(batch.labels, logits)

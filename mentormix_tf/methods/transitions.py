"""Transition matrices T, where T_ij is the probability of label j for an example of class i."""

import numpy as np
import tensorflow as tf

__all__ = ["noisy_cross_entropy", "symmetric"]


def symmetric(num_classes: int, noise: float) -> np.ndarray:
    """Makes the matrix of symmetric noise.

    Args:
        num_classes: number of classes, at least 2.
        noise: share of wrong labels, in [0, 1].

    Returns:
        `[num_classes, num_classes]`, float64: 1 - noise on the diagonal, and the rest of each row
        spread evenly.
    """
    matrix = np.full([num_classes, num_classes], noise / (num_classes - 1))
    np.fill_diagonal(matrix, 1.0 - noise)
    return matrix


def noisy_cross_entropy(labels: tf.Tensor, logits: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Computes the cross-entropy of the labels that a network's predictions turn into.

    Args:
        labels: `[batch, num_classes]`, float32, probabilities.
        logits: `[batch, num_classes]`, float32, of the true class.
        matrix: `[num_classes, num_classes]`, float32, T.

    Returns:
        `[batch]`, float32: -Σ_j y_j·log Σ_i p_i·T_ij.
    """
    # A log-sum-exp over true labels would take [batch, classes, classes] of memory.
    noisy = tf.matmul(tf.nn.softmax(logits), matrix)
    return -tf.reduce_sum(labels * tf.math.log(noisy + 1e-30), axis=1)

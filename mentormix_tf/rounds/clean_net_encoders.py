"""The two networks of a CleanNet, of images and of classes, and their loss (Lee et al., 2018)."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

__all__ = ["Encoders", "example_losses"]

_MARGIN = 0.1  # rho: a wrong label costs nothing below this similarity
_RIGHT_FROM = 0.1  # similarity from which on an unverified label is taken for right
_WRONG_WEIGHT = 5.0  # omega
_RECONSTRUCTION_WEIGHT = 0.1  # beta
_UNVERIFIED_WEIGHT = 0.1  # gamma
_L2, _DROPOUT = 1e-4, 0.2


class Encoders:
    """The two networks of a CleanNet, with fresh weights.

    Args:
        size: size of the features.
        seed: seed of the weights and the dropout.

    Attributes:
        query: Keras model from transformed features `[batch, size]` to an embedding
            `[batch, 128]` and its reconstruction of the features, `[batch, size]`.
        sets: Keras model from transformed references `[classes, references, size]` and which of
            them are there, `[classes, references]`, bool, to embeddings `[classes, 128]`.
    """

    def __init__(self, size: int, seed: int):
        self._seeds = iter(np.random.RandomState([seed, 1]).randint(2**31, size=20).tolist())
        x = keras.Input([size])
        embedding = self._dense(128)(self._dense(256)(x))
        reconstruction = self._dense(size)(self._dense(256)(embedding))
        self.query = keras.Model(x, [embedding, reconstruction])

        references, present = keras.Input([None, size]), keras.Input([None], dtype="bool")
        dropout = keras.layers.Dropout(_DROPOUT, seed=next(self._seeds), dtype="float32")
        encoded = self._dense(256)(dropout(self._dense(512)(references)))
        context = keras.layers.Dense(
            1, use_bias=False, kernel_initializer=self._initializer(), dtype="float32"
        )
        relevance = context(self._dense(256)(encoded))
        softmax = keras.layers.Softmax(axis=1, dtype="float32")
        attention = softmax(relevance, mask=keras.ops.expand_dims(present, -1))
        pooled = keras.ops.sum(attention * encoded, axis=1)
        self.sets = keras.Model([references, present], self._dense(128)(pooled))

    @property
    def variables(self) -> list[keras.Variable]:
        """The weights to train."""
        return [*self.query.trainable_variables, *self.sets.trainable_variables]

    def embed_queries(self, features: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Embeds features.

        Args:
            features: `[batch, size]`, float32, transformed.

        Returns:
            Embeddings of length 1, `[batch, 128]`, and `[batch]`, the squared distance between
            the features and their reconstruction.
        """
        x = tf.convert_to_tensor(features)
        embedding, reconstruction = self.query(x)
        error = tf.reduce_sum(tf.square(x - reconstruction), axis=1)
        return tf.math.l2_normalize(embedding, axis=1), error

    def embed_classes(self, references: Any, present: Any, training: bool = False) -> tf.Tensor:
        """Embeds classes.

        Args:
            references: `[classes, references, size]`, float32.
            present: `[classes, references]`, bool, which of them are there.
            training: whether to drop out units.

        Returns:
            Embeddings of length 1, `[classes, 128]`.
        """
        inputs = [tf.convert_to_tensor(references), tf.convert_to_tensor(present)]
        embedding = self.sets(inputs, training=training)
        return tf.math.l2_normalize(embedding, axis=1)

    def regularization(self) -> tf.Tensor:
        """What is added to the loss of a batch: 1e-4 times the sum of all squared kernels."""
        return tf.add_n([*self.query.losses, *self.sets.losses])

    def _dense(self, units):
        return keras.layers.Dense(
            units,
            activation="tanh",
            kernel_initializer=self._initializer(),
            kernel_regularizer=keras.regularizers.L2(_L2),
            dtype="float32",
        )

    def _initializer(self) -> Any:
        return keras.initializers.GlorotUniform(seed=next(self._seeds))


def example_losses(similarity: tf.Tensor, error: tf.Tensor, verified: tf.Tensor) -> tf.Tensor:
    """Computes the loss of each example.

    With l = 1 for a right label and 0 for a wrong one, the fit of label and similarity costs
    l · (1 - s) + ω · (1 - l) · max(0, s - ρ). Unverified labels are taken for right where s is at
    least 0.1, and their cost is multiplied by γ. Added to it is β times the error.

    Args:
        similarity: `[batch]`, s.
        error: `[batch]`, the squared error of the reconstruction.
        verified: `[batch]`, integers: 1 for right, 0 for wrong, -1 for unverified.

    Returns:
        `[batch]`.
    """
    is_right = tf.where(verified < 0, similarity >= _RIGHT_FROM, tf.equal(verified, 1))
    excess = tf.maximum(similarity - _MARGIN, 0.0)
    fit = tf.where(is_right, 1.0 - similarity, _WRONG_WEIGHT * excess)
    fit = tf.where(verified < 0, _UNVERIFIED_WEIGHT * fit, fit)
    return fit + _RECONSTRUCTION_WEIGHT * error

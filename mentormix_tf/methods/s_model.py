"""S-Model: a layer that learns how labels are made wrong."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf.errors import InputError
from mentormix_tf.methods import transitions
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.methods.batch import Batch

__all__ = ["SModel"]


@keras.saving.register_keras_serializable("mentormix_tf")
class SModel(NoisyLabelModel):
    """The simple noise adaptation layer (Goldberger and Ben-Reuven, ICLR 2017).

    p(noisy label j | x) = Σ_i p(true label i | x) · T_ij with T = softmax of the rows of W. The
    loss is the cross-entropy of p(noisy label | x); predictions are p(true label | x). W is learned
    with the network, by the same optimizer and at the same learning rate.

    T starts near the identity: 1 - `expected_noise` on its diagonal, and the rest spread evenly
    over each row. The published method can start from the confusion matrix of a trained network
    instead, which is not implemented.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        expected_noise: initial estimate of the share of wrong labels, in (0, 1).
        **kwargs: see `NoisyLabelModel`.

    Raises:
        InputError: the share is out of range.
    """

    def __init__(
        self, network: keras.Model, num_classes: int, *, expected_noise: float = 0.1, **kwargs: Any
    ):
        super().__init__(network, num_classes, **kwargs)
        if not 0.0 < expected_noise < 1.0:
            raise InputError(f"expected_noise={expected_noise} must lie between 0 and 1.")
        self.expected_noise = expected_noise
        start = transitions.symmetric(num_classes, expected_noise)
        self.transition_logits = self.add_weight(
            name="transition_logits",
            shape=start.shape,
            dtype="float32",
            initializer=keras.initializers.Constant(np.log(start)),  # pyright: ignore[reportArgumentType]
        )

    def transition_matrix(self) -> tf.Tensor:
        """Computes T from its logits.

        Returns:
            `[num_classes, num_classes]`, float32; row i is the distribution of the noisy label for
            true label i.
        """
        return tf.nn.softmax(tf.convert_to_tensor(self.transition_logits))

    def example_losses(self, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        return transitions.noisy_cross_entropy(batch.labels, logits, self.transition_matrix())

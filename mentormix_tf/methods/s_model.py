"""S-Model: a layer that learns how labels are made wrong."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf.methods.transition_model import TransitionModel

__all__ = ["SModel"]

_LEAST = 1e-8  # added to probabilities before their logarithm, as in the authors' code


@keras.saving.register_keras_serializable("mentormix_tf")
class SModel(TransitionModel):
    """The simple noise adaptation layer (Goldberger and Ben-Reuven, ICLR 2017).

    p(noisy label j | x) = Σ_i p(true label i | x) · T_ij with T = softmax of the rows of W. The
    loss is the cross-entropy of p(noisy label | x); predictions are p(true label | x). W is learned
    with the network, by the same optimizer and at the same learning rate.

    The published W starts from the confusion matrix of a network that was trained plainly before:
    `--rounds=confusion` trains one and takes its matrix, though not its weights. T can also start
    from a file, such as an audit's estimate; or near the identity, with 1 - `expected_noise` on its
    diagonal and the rest spread evenly over each row.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        transition_matrix: file with T (.npy, .csv or .json), a row of probabilities for each true
            class; oracle for the T of the split's manifest, which no real data set has; by default
            T is that of symmetric noise of expected_noise.
        expected_noise: initial estimate of the share of wrong labels, in (0, 1).
        **kwargs: see `NoisyLabelModel`.

    Raises:
        InputError: the file is no transition matrix of these classes, or the share is out of range.
    """

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        *,
        transition_matrix: str = "",
        expected_noise: float = 0.1,
        **kwargs: Any,
    ):
        super().__init__(network, num_classes, **kwargs)
        self.transition_matrix = transition_matrix
        self.expected_noise = expected_noise
        start = _logits(self.start_matrix(transition_matrix, expected_noise))
        self.transition_logits = self.add_weight(
            name="transition_logits",
            shape=start.shape,
            dtype="float32",
            initializer=keras.initializers.Constant(start),  # pyright: ignore[reportArgumentType]
        )

    def transition_probabilities(self) -> tf.Tensor:
        return tf.nn.softmax(tf.convert_to_tensor(self.transition_logits))

    def _assign(self, matrix: np.ndarray) -> None:
        self.transition_logits.assign(_logits(matrix))


def _logits(matrix):
    return np.log(matrix + _LEAST)

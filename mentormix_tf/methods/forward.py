"""Forward correction: the network predicts true labels, the loss compares what they turn into."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf.methods.transition_model import TransitionModel

__all__ = ["ForwardCorrection"]


@keras.saving.register_keras_serializable("mentormix_tf")
class ForwardCorrection(TransitionModel):
    """Forward loss correction (Patrini, Rozza, Menon, Nock and Qu, CVPR 2017).

    The loss is -Σ_j y_j·log Σ_i p_i·T_ij (theorem 2), where T_ij is the probability that an example
    of class i is labeled j. Predictions are p. S-Model is the same with a T that is learned.

    T is known before training: from a file, such as the estimate that an audit writes; from a
    network that is trained before, with `--rounds=confusion`; as that of symmetric noise; or from a
    program, by `set_transition_matrix`. The authors estimate it from a network trained before, by
    one example of each class, at the 97th percentile of its probability; the audit estimates it by
    all examples that are confidently of a class.

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
        start = self.start_matrix(transition_matrix, expected_noise)
        self.transitions = self.add_weight(
            name="transitions",
            shape=start.shape,
            dtype="float32",
            initializer=keras.initializers.Constant(start),  # pyright: ignore[reportArgumentType]
            trainable=False,
            aggregation="only_first_replica",
        )

    def transition_probabilities(self) -> tf.Tensor:
        return tf.convert_to_tensor(self.transitions)

    def _assign(self, matrix: np.ndarray) -> None:
        self.transitions.assign(matrix)

"""Forward correction: the network predicts true labels, the loss compares what they turn into."""

import os
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from mentormix_tf.data import noise
from mentormix_tf.errors import InputError
from mentormix_tf.methods import transitions
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.methods.batch import Batch

__all__ = ["ORACLE", "ForwardCorrection"]

ORACLE = "oracle"  # as transition_matrix: what only the maker of the noise knows


@keras.saving.register_keras_serializable("mentormix_tf")
class ForwardCorrection(NoisyLabelModel):
    """Forward loss correction (Patrini, Rozza, Menon, Nock and Qu, CVPR 2017).

    The loss is -Σ_j y_j·log Σ_i p_i·T_ij (theorem 2), where T_ij is the probability that an example
    of class i is labeled j. Predictions are p. S-Model is the same with a T that is learned.

    T is known before training: from a file, such as the estimate that an audit writes; as that of
    symmetric noise; or from a program, by `set_transition_matrix`. The authors estimate it from a
    network trained before, by the examples that are most probably of each class; the audit
    estimates it by all examples that are confidently of a class.

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
        if not 0.0 < expected_noise < 1.0:
            raise InputError(f"expected_noise={expected_noise} must lie between 0 and 1.")
        self.transition_matrix = transition_matrix
        self.expected_noise = expected_noise
        if transition_matrix == ORACLE:
            start = np.full([num_classes, num_classes], np.nan)
        elif transition_matrix:
            start = noise.read_matrix(transition_matrix, num_classes, "transition_matrix")
        else:
            start = transitions.symmetric(num_classes, expected_noise)
        self.transitions = self.add_weight(
            name="transitions",
            shape=start.shape,
            dtype="float32",
            initializer=keras.initializers.Constant(start),  # pyright: ignore[reportArgumentType]
            trainable=False,
            aggregation="only_first_replica",
        )

    def set_transition_matrix(self, matrix: npt.ArrayLike) -> None:
        """Replaces T.

        Args:
            matrix: `[num_classes, num_classes]`; row i has the probabilities of the labels that an
                example of class i can get.

        Raises:
            InputError: it is no transition matrix of these classes.
        """
        matrix = np.asarray(matrix, np.float64)
        noise.check_matrix(matrix, self.num_classes, "The transition matrix")
        self.transitions.assign(matrix)

    def begin_training(self, train_steps: int, first_step: int = 0) -> None:
        super().begin_training(train_steps, first_step)
        matrix: Any = keras.ops.convert_to_numpy(self.transitions)
        if np.isnan(matrix).any():
            raise InputError(
                f"transition_matrix={self.transition_matrix} is known to the train command alone: "
                "in a program, call set_transition_matrix."
            )

    def example_losses(self, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        matrix = tf.convert_to_tensor(self.transitions)
        return transitions.noisy_cross_entropy(batch.labels, logits, matrix)

    @classmethod
    def classes_of(cls, hyperparameters: Mapping[str, Any]) -> int:
        path = hyperparameters["transition_matrix"]
        if path in ("", ORACLE):
            return super().classes_of(hyperparameters)
        return len(noise.read_matrix(path, None, "transition_matrix"))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> NoisyLabelModel:
        # The file may be gone; the saved model has the matrix.
        path = config["transition_matrix"]
        there = path if path == ORACLE or os.path.exists(path) else ""
        return super().from_config({**config, "transition_matrix": there})

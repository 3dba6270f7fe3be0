"""What methods share whose loss compares labels with what predictions turn into."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from mentormix_tf.data import noise
from mentormix_tf.errors import InputError
from mentormix_tf.methods import transitions
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.methods.batch import Batch

__all__ = ["ORACLE", "TransitionModel"]

ORACLE = "oracle"  # as transition_matrix: what only the maker of the noise knows


class TransitionModel(NoisyLabelModel):
    """A method that starts with a transition matrix T, T_ij = P(label j | true class i).

    The loss is -Σ_j y_j·log Σ_i p_i·T_ij. Subclasses have the hyperparameters transition_matrix and
    expected_noise, make a variable of `start_matrix`, and override `transition_probabilities` and
    `_assign`.
    """

    transition_matrix: str

    def start_matrix(self, transition_matrix: str, expected_noise: float) -> np.ndarray:
        """Chooses T at the start.

        Args:
            transition_matrix: the file that has it; `ORACLE`, which is NaN until
                `set_transition_matrix` is called; or "" for symmetric noise.
            expected_noise: share of wrong labels of symmetric noise, in (0, 1).

        Returns:
            `[num_classes, num_classes]`, float64.

        Raises:
            InputError: the file is no transition matrix of these classes, or the share is out of
                range.
        """
        if not 0.0 < expected_noise < 1.0:
            raise InputError(f"expected_noise={expected_noise} must lie between 0 and 1.")
        if transition_matrix == ORACLE:
            return np.full([self.num_classes, self.num_classes], np.nan)
        if transition_matrix:
            return noise.read_matrix(transition_matrix, self.num_classes, "transition_matrix")
        return transitions.symmetric(self.num_classes, expected_noise)

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
        self._assign(matrix)

    def example_losses(self, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        matrix = self.transition_probabilities()
        return transitions.noisy_cross_entropy(batch.labels, logits, matrix)

    def begin_training(self, train_steps: int, first_step: int = 0) -> None:
        super().begin_training(train_steps, first_step)
        if np.isnan(np.asarray(self.transition_probabilities())).any():
            raise InputError(
                f"transition_matrix={self.transition_matrix} is known to the train command alone: "
                "in a program, call set_transition_matrix."
            )

    @classmethod
    def classes_of(cls, hyperparameters: Mapping[str, Any]) -> int:
        path = hyperparameters["transition_matrix"]
        if path in ("", ORACLE):
            return super().classes_of(hyperparameters)
        return len(noise.read_matrix(path, None, "transition_matrix"))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> NoisyLabelModel:
        # The file may be gone; the saved model has the matrix.
        path = config.get("transition_matrix", "")
        there = path if path == ORACLE or os.path.exists(path) else ""
        return super().from_config({**config, "transition_matrix": there})

    def transition_probabilities(self) -> tf.Tensor:
        """Returns T as it is now.

        Returns:
            `[num_classes, num_classes]`, float32; row i is the distribution of the noisy label for
            true label i.
        """
        raise NotImplementedError

    def _assign(self, matrix: np.ndarray) -> None:
        """Changes T, which is valid."""
        raise NotImplementedError

"""A network's predictions for labeled examples."""

import dataclasses

import numpy as np

from mentormix_tf.metrics import classification

__all__ = ["Predictions"]


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Predictions and labels of n examples, in order. Classes are integers from 0.

    Attributes:
        label: `[n]`, int64, the label that `rank` and `loss` refer to: usually the given one,
            which may be wrong.
        true_label: `[n]`, int64, the right class; -1 where unknown.
        is_clean: `[n]`, int64, 1 where the given label is right, 0 where it is wrong, -1 where
            unknown.
        predicted: `[n]`, int64, the most probable class.
        confidence: `[n]`, float32, the probability of that class, in [0, 1].
        rank: `[n]`, int64, how many classes score higher than the label; of equal scores the first
            class is higher.
        loss: `[n]`, float32, cross-entropy with the label, in nats.
        id: `[n]`, bytes, the examples' names in the data set; None if they were not read.
    """

    label: np.ndarray
    true_label: np.ndarray
    is_clean: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    rank: np.ndarray
    loss: np.ndarray
    id: np.ndarray | None = None

    def accuracy(self, where: np.ndarray | slice = slice(None), of: str = "label") -> float | None:
        """The fraction of the selected examples whose class is predicted, in [0, 1].

        Args:
            where: a bool mask `[n]` that selects examples; all by default.
            of: the class to compare with, `label` or `true_label`.

        Returns:
            The fraction; None if no example is selected.
        """
        right = (self.predicted == getattr(self, of))[where]
        return float(right.mean()) if right.size else None

    def top_k(self, k: int) -> float:
        """The fraction of examples whose label is among the k most probable classes."""
        return classification.top_k_accuracy(self.rank, k)

    def mean_loss(self) -> float:
        """The mean of `loss`, in nats."""
        return float(self.loss.mean(dtype=np.float64))

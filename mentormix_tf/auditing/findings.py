"""What an audit has found of each label of a training set."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mentormix_tf.auditing.noise_rate import NoiseRate

__all__ = ["Findings"]


@dataclasses.dataclass(frozen=True)
class Findings:
    """What was found about n labels, in the order of the training set. Classes are integers from 0.

    Attributes:
        class_names: the name of each class.
        ids: `[n]`, text, the examples' names in the data set.
        files: `[n]`, text, the path of each image in the user's folder; "" where it has none.
        given: `[n]`, int64, the given labels.
        predicted: `[n]`, int64, the class that the network sees.
        label_quality: `[n]`, float64, in [0, 1], low = suspicious; see `scores`.
        is_label_issue: `[n]`, bool: the estimated number of wrong labels, of the lowest quality.
        columns: more columns of audit.csv by name, `[n]` each: the scores that `label_quality` is
            the mean of, and what training recorded.
        noise_rate: how many labels are wrong, and which classes are confused.
        split_sha256: that of the split, or of ids and labels.
        notes: what the user should know, such as which scores there are, one sentence each.
        features: `[n, size]`, float32, by which similar examples are found; None if there are none.
        images: a function from positions to pairs of position and image, `[height, width,
            channels]`, uint8; None if there are no images to show.
        subject: what was audited: entries of audit.json.
    """

    class_names: Sequence[str]
    ids: np.ndarray
    files: np.ndarray
    given: np.ndarray
    predicted: np.ndarray
    label_quality: np.ndarray
    is_label_issue: np.ndarray
    columns: Mapping[str, np.ndarray]
    noise_rate: NoiseRate
    split_sha256: str
    notes: Sequence[str] = ()
    features: np.ndarray | None = dataclasses.field(default=None, repr=False)
    images: Callable[[Sequence[int]], Iterable[tuple[int, np.ndarray]]] | None = None
    subject: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def order(self) -> np.ndarray:
        """The positions of all examples, `[n]`, int64, the most suspicious first."""
        return np.argsort(self.label_quality, kind="stable")

    def confusions(self) -> np.ndarray:
        """Counts the flagged labels: `[given class, predicted class]`, int64."""
        counts = np.zeros([len(self.class_names)] * 2, np.int64)
        flagged = self.is_label_issue & (self.given != self.predicted)
        np.add.at(counts, (self.given[flagged], self.predicted[flagged]), 1)
        return counts

    def pairs(self) -> list[tuple[int, int, int]]:
        """(given, predicted, count) of the confused classes, the most frequent first."""
        counts = self.confusions()
        given, predicted = np.nonzero(counts)
        pairs = list(zip(given.tolist(), predicted.tolist(), strict=True))
        return sorted(((i, j, int(counts[i, j])) for i, j in pairs), key=lambda pair: -pair[2])

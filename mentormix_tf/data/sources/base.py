"""Sources: images with their original labels."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mentormix_tf.data.annotators import Votes
from mentormix_tf.data.sources import class_names
from mentormix_tf.data.sources.images_on_demand import ImagesOnDemand

__all__ = ["UNKNOWN", "Source", "SourceSplit"]

UNKNOWN = -1


@dataclasses.dataclass(frozen=True)
class SourceSplit:
    """One split of a source. Labels are arrays; images are read one at a time, on demand.

    Attributes:
        ids: n strings, each different.
        labels: `[n]`, int64, the labels that the source has.
        images: the n images in the order of `ids`: encoded bytes (JPEG, PNG, BMP or GIF), or arrays
            `[height, width, channels]`, uint8, which are stored as PNG.
        true_labels: `[n]`, int64, -1 where unknown. Default: `labels`.
        is_clean: `[n]`, int64, 1 where the label is right, 0 where it is wrong, -1 where unknown.
            Default: the result of comparing `labels` with `true_labels`.
        votes: n sequences of integers, the labels that several people gave to each example; None
            if there is one label for each.
        verified: `[n]`, int64, 1 where a person has checked the label and it is right, 0 where it
            is wrong, -1 where nobody has; None if nobody has checked any.
    """

    ids: Sequence[str]
    labels: np.ndarray
    images: ImagesOnDemand
    true_labels: np.ndarray | Any = None  # `Any` stands for None, which __post_init__ replaces
    is_clean: np.ndarray | Any = None
    votes: Votes | None = None
    verified: np.ndarray | None = None

    def __post_init__(self) -> None:
        labels = np.asarray(self.labels, np.int64)
        true = labels if self.true_labels is None else np.asarray(self.true_labels, np.int64)
        clean = self.is_clean
        if clean is None:
            clean = np.where(true == UNKNOWN, UNKNOWN, labels == true)
        for name, values in [("labels", labels), ("true_labels", true), ("is_clean", clean)]:
            object.__setattr__(self, name, np.asarray(values, np.int64))

    def where(self, kept: np.ndarray) -> "SourceSplit":
        """Returns a part of this split.

        Args:
            kept: `[n]`, bool, which examples are in it.
        """
        return SourceSplit(
            list(itertools.compress(self.ids, kept)),
            self.labels[kept],
            self.images.part(np.flatnonzero(kept)),
            self.true_labels[kept],
            self.is_clean[kept],
            None if self.votes is None else list(itertools.compress(self.votes, kept)),
            None if self.verified is None else self.verified[kept],
        )


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set, before noise is added.

    Attributes:
        class_names: the name of each class, see `class_names.stored`.
        train: training split.
        test: test split, whose labels are assumed to be right; None if the source has no test
            split.
        image_shape: `(height, width, channels)`; None for a side that varies between images.
        asymmetric: `[classes]`, integers, the class that asymmetric noise turns each class into.
            Default: the next class.
        check_images: whether images may be broken, so that each must be checked before it is
            stored.
    """

    class_names: Sequence[str]
    train: SourceSplit
    test: SourceSplit | None
    image_shape: tuple[int | None, int | None, int]
    asymmetric: np.ndarray | None = None
    check_images: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_names", class_names.stored(self.class_names))

"""What a source is: images with the labels they came with."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

UNKNOWN = -1


@dataclasses.dataclass(frozen=True)
class SourceSplit:
    """One split of a source. Labels are arrays; images are read one by one, when they are needed.

    Attributes:
        ids: `[n]` strings, each once.
        labels: `[n]`, int64, the classes as the source gives them.
        images: called without arguments, gives an iterator over the n images in the order of
            `ids`: encoded bytes as they came (JPEG, PNG, BMP or GIF), or uint8 arrays `[height,
            width, channels]`, which are stored as PNG.
        true_labels: `[n]`, int64, -1 where unknown; left out, the labels are true.
        is_clean: `[n]`, int64, 1 where the label is right, 0 where it is wrong, -1 where nobody
            knows; left out, it follows from the two kinds of labels.
    """

    ids: Sequence[str]
    labels: np.ndarray
    images: Callable[[], Iterator]
    true_labels: np.ndarray | None = None
    is_clean: np.ndarray | None = None

    def __post_init__(self):
        labels = np.asarray(self.labels, np.int64)
        true = labels if self.true_labels is None else np.asarray(self.true_labels, np.int64)
        clean = self.is_clean
        if clean is None:
            clean = np.where(true == UNKNOWN, UNKNOWN, labels == true)
        for name, values in [("labels", labels), ("true_labels", true), ("is_clean", clean)]:
            object.__setattr__(self, name, np.asarray(values, np.int64))


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set, before noise is added.

    Attributes:
        class_names: name of each class.
        train: training split.
        test: split whose labels are taken to be right; None where the source has none.
        image_shape: `(height, width, channels)`; None for sides that differ between images.
        asymmetric: `[classes]`, the class that asymmetric noise turns each class into; left out,
            the next class.
        check_images: whether images may be broken, so that each is tried before it is stored.
    """

    class_names: Sequence[str]
    train: SourceSplit
    test: SourceSplit | None
    image_shape: tuple
    asymmetric: np.ndarray | None = None
    check_images: bool = False

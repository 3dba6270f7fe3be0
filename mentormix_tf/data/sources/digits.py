"""scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels, without a download."""

from typing import Any

import numpy as np
from sklearn import datasets, model_selection

from mentormix_tf.data.sources.base import Source, SourceSplit
from mentormix_tf.data.sources.images_on_demand import ImagesOnDemand

__all__ = ["load"]


def load(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads 1,437 training and 360 test images, split in proportion to the classes.

    Args: see `Entry.load`.
    """
    digits: Any = datasets.load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    parts: Any = model_selection.train_test_split(
        images, digits.target, test_size=360, stratify=digits.target, random_state=0
    )
    train_x, test_x, train_y, test_y = parts
    return Source(
        class_names=[str(name) for name in digits.target_names],
        train=_split("train", train_x, train_y),
        test=_split("test", test_x, test_y),
        image_shape=(8, 8, 1),
    )


def _split(name: str, images: np.ndarray, labels: np.ndarray) -> SourceSplit:
    ids = [f"{name}_{i:05d}" for i in range(len(labels))]
    return SourceSplit(ids, labels, ImagesOnDemand(images))

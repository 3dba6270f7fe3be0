"""scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels, nothing to download."""

import numpy as np
from sklearn import datasets, model_selection

from mentormix_tf.data.sources.base import Source, SourceSplit


def load(noise, noise_level, data_dir, argument):
    """1,437 training and 360 test images, with the classes in equal shares."""
    digits = datasets.load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    train_x, test_x, train_y, test_y = model_selection.train_test_split(
        images, digits.target, test_size=360, stratify=digits.target, random_state=0
    )
    return Source(
        class_names=[str(name) for name in digits.target_names],
        train=_split("train", train_x, train_y),
        test=_split("test", test_x, test_y),
        image_shape=(8, 8, 1),
    )


def _split(name, images, labels):
    ids = [f"{name}_{i:05d}" for i in range(len(labels))]
    return SourceSplit(ids, labels, lambda: iter(images))

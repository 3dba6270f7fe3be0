"""scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels, nothing to download."""

import numpy as np
from sklearn import datasets, model_selection


def load():
    """1,437 training and 360 test images, with the classes in equal shares; see `sources.load`."""
    digits = datasets.load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    train_x, test_x, train_y, test_y = model_selection.train_test_split(
        images, digits.target, test_size=360, stratify=digits.target, random_state=0
    )
    class_names = [str(name) for name in digits.target_names]
    return {"train": (train_x, train_y), "test": (test_x, test_y)}, class_names

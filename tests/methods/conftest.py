"""A small network and small data that the method tests share."""

import keras
import numpy as np
import pytest

from tests.support.linear_methods import CLASSES, FEATURES, SIZE


@pytest.fixture(autouse=True)
def fixed_seed():
    keras.utils.set_random_seed(1)


@pytest.fixture
def network():
    """A network with layers that are easy to get wrong: BatchNorm, Dropout and a regularizer."""
    return keras.Sequential(
        [
            keras.layers.Input((6, 6, 1)),
            keras.layers.Conv2D(4, 3, kernel_regularizer=keras.regularizers.L2(1e-3)),
            keras.layers.BatchNormalization(momentum=0.7),
            keras.layers.ReLU(),
            keras.layers.Dropout(0.2),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
        ]
    )


@pytest.fixture
def data():
    """64 images `[6, 6, 1]` and their labels of 5 classes, which can be read off the images."""
    random = np.random.RandomState(0)
    labels = random.randint(5, size=64)
    images = random.normal(size=(64, 6, 6, 1)).astype(np.float32)
    images[np.arange(64), labels, labels, 0] += 4
    return images, labels


@pytest.fixture
def batch():
    """Images and labels for `linear_methods`."""
    random = np.random.RandomState(5)
    images = random.normal(size=(SIZE, FEATURES)).astype(np.float32)
    labels = random.randint(CLASSES, size=SIZE)
    return images, labels

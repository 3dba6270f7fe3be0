"""Cuts test images off a data set that has none."""

import numpy as np

__all__ = ["TEST_SHARE", "held_out"]

TEST_SHARE = 0.2


def held_out(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Chooses a fifth of each class, at least one image, with a fixed seed.

    A class with a single image keeps it for training, so it has no test image.

    Args:
        labels: `[n]`, integers, the class of each image.
        num_classes: number of classes.

    Returns:
        `[n]`, bool, which images are for testing.
    """
    chosen = np.zeros(len(labels), bool)
    for label in range(num_classes):
        members = np.flatnonzero(labels == label)
        if len(members) > 1:
            count = max(round(TEST_SHARE * len(members)), 1)
            chosen[np.random.RandomState([0, label]).permutation(members)[:count]] = True
    return chosen

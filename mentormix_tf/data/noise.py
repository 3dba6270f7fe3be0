"""Label noise, in pure NumPy.

Drawn from `numpy.random.RandomState`, whose streams NumPy has frozen: a seed gives the same noisy
labels on every machine and with every version.
"""

import numpy as np

from mentormix_tf.errors import InputError


def symmetric(labels, num_classes, noise_level, seed):
    """Flips exactly round(noise_level * n) labels, each to a random *incorrect* class.

    The paper's blue noise: choose the examples at random, then flip each independently. (Many
    other repositories may redraw the true class, so that their level is nominal only.)

    Args:
        labels: `[n]`, integers in [0, num_classes).
        num_classes: number of classes, at least 2.
        noise_level: fraction of labels to flip, in [0, 1].
        seed: integer seed.

    Returns:
        `[n]`, int64, the noisy labels.

    Raises:
        InputError: noise_level outside [0, 1].
    """
    if not 0.0 <= noise_level <= 1.0:
        raise InputError(f"noise_level={noise_level} must lie in [0, 1].")
    random = np.random.RandomState(seed)
    noisy = np.array(labels, dtype=np.int64)
    flipped = random.permutation(len(noisy))[: round(noise_level * len(noisy))]
    noisy[flipped] += random.randint(1, num_classes, size=len(flipped))
    noisy[flipped] %= num_classes
    return noisy

"""Label noise that depends on the image, in NumPy.

Xia et al., "Part-dependent Label Noise: Towards Instance-dependent Label Noise", NeurIPS 2020,
Algorithm 2: each example has a flip rate of its own, and a projection of its pixels decides which
classes its label can turn into. So images that look alike get the same wrong labels, which are
harder to tell from right ones than symmetric noise.
"""

import hashlib
import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import scipy.special

from mentormix_tf.data.noise import check_level
from mentormix_tf.errors import InputError

__all__ = ["RATE_DEVIATION", "SIDE", "instance_dependent"]

SIDE = 32  # longest side of the pictures, in pixels
RATE_DEVIATION = 0.1  # of the flip rates
_CHUNK = 65_536  # pictures in memory, 200 MB
_BLOCK = 512  # pictures that are projected at once


def instance_dependent(
    pictures: Iterable[np.ndarray],
    labels: npt.ArrayLike,
    num_classes: int,
    noise_level: float,
    seed: int,
) -> np.ndarray:
    """Flips labels by what is on the images.

    The flip rate q of an example is drawn from the normal distribution N(noise_level, 0.1²),
    truncated to [0, 1]. With x, the picture's pixels with mean 0 and variance 1, and W_y, a matrix
    `[features, num_classes]` of draws from N(0, 1) for each class y, the label stays y with
    probability 1 - q, and becomes j ≠ y with probability q · softmax_j(x W_y) over all such j.

    The label is a function of the seed, the picture and its label alone: q and the class are drawn
    with random numbers that are hashes of these three. So an image gets the same label in any part
    of a data set. (In the authors' code they are drawn in the order of the examples, and pixels are
    standardized by the mean and deviation of the whole data set.)

    Args:
        pictures: n pictures, `[height, width, 3]`, uint8, with sides of at most `SIDE`.
        labels: `[n]`, integers in [0, num_classes).
        num_classes: number of classes, at least 2.
        noise_level: mean flip rate before it is truncated, in [0, 1], which makes it larger below
            0.2 and smaller above 0.8; 0 leaves the labels as they are.
        seed: seed in [0, 2**32).

    Returns:
        `[n]`, int64, the noisy labels.

    Raises:
        InputError: noise_level is outside [0, 1], or there is one class.
    """
    check_level(noise_level)
    if num_classes < 2:
        raise InputError("noise=instance needs at least two classes: there is no incorrect one.")
    noisy = np.array(labels, dtype=np.int64)
    if noise_level == 0.0:
        return noisy
    remaining, start = iter(pictures), 0
    while chunk := list(itertools.islice(remaining, _CHUNK)):
        # By class, so that one matrix is in memory at a time.
        own = noisy[start : start + len(chunk)].copy()  # the labels before noise
        for label in np.unique(own).tolist():
            matrix = _matrix(label, num_classes, seed)
            members = np.flatnonzero(own == label)
            for block in np.split(members, range(_BLOCK, len(members), _BLOCK)):
                shown = [chunk[i] for i in block.tolist()]
                noisy[start + block] = _drawn(shown, label, matrix, noise_level, seed)
        start += len(chunk)
    return noisy


def _matrix(label: int, num_classes: int, seed: int) -> np.ndarray:
    """W_y: `[features, num_classes]`, float64."""
    random = np.random.RandomState([seed, label, 2])  # a stream that nothing else uses
    return random.standard_normal((3 * SIDE * SIDE, num_classes))


def _drawn(
    pictures: Sequence[np.ndarray], label: int, matrix: np.ndarray, noise_level: float, seed: int
) -> np.ndarray:
    """The noisy labels of pictures of one class, which is none of them while they are clean."""
    scores = np.stack([_features(picture) for picture in pictures]) @ matrix
    scores[:, label] = -np.inf
    draws = np.array([_uniforms(picture, label, seed) for picture in pictures])
    rates = _truncated_normal(draws[:, 0], noise_level)
    probabilities = rates[:, None] * scipy.special.softmax(scores, axis=1)
    probabilities[:, label] = 1.0 - rates
    # The last sum is left out so that rounding can't put a draw past the last class.
    return np.sum(draws[:, 1:] >= np.cumsum(probabilities, axis=1)[:, :-1], axis=1)


def _features(picture: np.ndarray) -> np.ndarray:
    """x: the pixels, standardized, in a square of zeros; `[features]`, float64."""
    pixels = picture.astype(np.float64)
    square = np.zeros((SIDE, SIDE, 3))
    height, width, _ = picture.shape
    square[:height, :width] = (pixels - pixels.mean()) / max(pixels.std(), 1.0)
    return square.ravel()


def _uniforms(picture: np.ndarray, label: int, seed: int) -> list[float]:
    """Two numbers in [0, 1) that are functions of the picture, its label and the seed."""
    named = f"{seed} {label} {picture.shape}".encode() + picture.tobytes()
    words = np.frombuffer(hashlib.sha256(named).digest()[:16], "<u8")
    return ((words >> np.uint64(11)) * 2.0**-53).tolist()


def _truncated_normal(uniforms: np.ndarray, mean: float) -> np.ndarray:
    """Draws from N(mean, 0.1²) within [0, 1], by the inverse of its distribution function."""
    low, high = scipy.special.ndtr((np.array([0.0, 1.0]) - mean) / RATE_DEVIATION)
    draws = mean + RATE_DEVIATION * scipy.special.ndtri(low + uniforms * (high - low))
    return np.clip(draws, 0.0, 1.0)

"""Fashion-MNIST: from its four official files if they are present, otherwise through TFDS."""

import gzip
import pathlib

import numpy as np

from mentormix_tf.data.sources import from_tfds
from mentormix_tf.data.sources.base import Source, SourceSplit
from mentormix_tf.data.sources.images_on_demand import ImagesOnDemand
from mentormix_tf.errors import InputError

__all__ = ["CLASS_NAMES", "SYSTEM_FOLDER", "load"]

CLASS_NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
# The folder in which Debian's package dataset-fashion-mnist installs the files.
SYSTEM_FOLDER = "/usr/share/datasets/fashion-mnist"


def load(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads 60,000 training and 10,000 test images of 28 x 28 pixels in grayscale.

    The official files (train-images-idx3-ubyte.gz and its three companions) are looked up in
    downloads/manual/fashion_mnist of the data_dir, then in Debian's folder.

    Args: see `Entry.load`.

    Raises:
        InputError: a file is damaged, or the data set can't be downloaded.
    """
    for folder in (pathlib.Path(data_dir, "downloads", "manual", "fashion_mnist"), SYSTEM_FOLDER):
        if (pathlib.Path(folder) / "train-images-idx3-ubyte.gz").exists():
            train, test = (_split(pathlib.Path(folder), name) for name in ("train", "t10k"))
            return Source(CLASS_NAMES, train, test, image_shape=(28, 28, 1))
    return from_tfds.load(noise, noise_level, data_dir, "fashion_mnist")


def _split(folder: pathlib.Path, name: str) -> SourceSplit:
    images = _read_idx(folder / f"{name}-images-idx3-ubyte.gz")[..., np.newaxis]
    labels = _read_idx(folder / f"{name}-labels-idx1-ubyte.gz")
    ids = [f"{name}_{i:05d}" for i in range(len(labels))]
    return SourceSplit(ids, labels, ImagesOnDemand(images))


def _read_idx(path: pathlib.Path) -> np.ndarray:
    """Reads an array of bytes in the IDX format: a magic number, the sizes, the values."""
    try:
        content = gzip.decompress(path.read_bytes())
        rank = content[3]
        shape = np.frombuffer(content, ">u4", rank, offset=4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise InputError(
            f"{path} is not a complete Fashion-MNIST file ({error}): download it again."
        ) from error

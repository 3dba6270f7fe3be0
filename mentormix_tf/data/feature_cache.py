"""Features of images, in files: what the frozen layers of a network make of each image.

An image is found by a digest of its encoded bytes, so splits of one data set with other labels or
other examples share their features, and an image that has changed gets new ones. Files are written
whole or not at all, so a computation that is killed continues after the last of them.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from etils import epath

from mentormix_tf import files, npz
from mentormix_tf.errors import InputError

__all__ = ["PART_BYTES", "FeatureCache", "digests"]

PART_BYTES = 2**24  # about, of the features in a file
_MOST_BYTES = 2**32  # of a file's arrays; a file that holds more is not of this kind


def digests(images: Iterable[bytes]) -> np.ndarray:
    """A digest of each encoded image: `[n]`, 32 hexadecimal digits as bytes."""
    found = [hashlib.blake2b(image, digest_size=16).hexdigest().encode() for image in images]
    return np.array(found, "S32")


class FeatureCache:
    """The features that one network computes of images, as one folder of .npz files.

    Args:
        folder: the folder that has a folder for each network.
        name: what the name of that folder begins with, such as the network's.
        facts: everything that determines the features of an image, for `json.dumps`.
        views: number of views of each image.
        size: number of features of a view.

    Attributes:
        path: the folder, whose name ends with a hash of the facts.
    """

    def __init__(
        self, folder: epath.Path, name: str, facts: Mapping[str, Any], views: int, size: int
    ):
        self._facts = json.dumps(facts, sort_keys=True)
        sha256 = hashlib.sha256(self._facts.encode()).hexdigest()
        self.path = folder / f"{re.sub(r'[^A-Za-z0-9_]+', '_', name)}-{sha256[:12]}"
        self._shape = (views, size)

    def read(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Reads the features of images.

        Args:
            images: `[n]`, from `digests`.

        Returns:
            `[n, views, size]`, float32, and `[n]`, bool, which of them are there. The features of
            the others are undefined.

        Raises:
            InputError: a file can't be read, or has features of another network.
        """
        features = np.empty((len(images), *self._shape), np.float32)
        found = np.zeros(len(images), bool)
        for path in sorted(self.path.glob("*.npz")) if self.path.exists() else ():
            keys, values = self._part(path)
            order = np.argsort(keys)
            at = order[np.minimum(np.searchsorted(keys, images, sorter=order), len(keys) - 1)]
            here = keys[at] == images
            features[here] = values[at[here]]
            found |= here
        return features, found

    def add(self, images: np.ndarray, features: np.ndarray) -> None:
        """Writes the features of images to a new file.

        Args:
            images: `[n]`, from `digests`, n > 0.
            features: `[n, views, size]`, float32.

        Raises:
            InputError: the file can't be written.
        """
        buffer = io.BytesIO()
        np.savez(buffer, images=images, features=features, facts=np.array(self._facts))
        name = hashlib.sha256(images.tobytes()).hexdigest()[:16]
        files.write(self.path / f"{name}.npz", buffer.getvalue())

    def _part(self, path):
        try:
            part = npz.arrays(files.contents(path), _MOST_BYTES)
            images, features, facts = part["images"], part["features"], str(part["facts"])
        except npz.UNREADABLE as error:
            raise InputError(
                f"{path} can't be read as features ({files.reason(error)}): delete it, and they "
                "are computed again."
            ) from error
        expected = (len(images), *self._shape) if images.ndim else ()
        is_whole = images.dtype.kind == "S" and len(expected) == 3 and expected[0] > 0
        is_whole = is_whole and features.dtype == np.float32 and features.shape == expected
        if facts != self._facts or not is_whole:
            raise InputError(
                f"{path} has features of another network, or of other images: delete it, and they "
                "are computed again."
            )
        return images, features

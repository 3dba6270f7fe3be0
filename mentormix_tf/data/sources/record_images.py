"""Images in TFRecord files, by position: the place of each record is found once, in one pass."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from etils import epath

from mentormix_tf.data.sources.images_on_demand import ImagesOnDemand
from mentormix_tf.errors import InputError

__all__ = ["record_images"]

_BEFORE, _AFTER = 12, 4  # bytes of a TFRecord around its data: the length, and checksums


def record_images(paths: Sequence[epath.PathLike], feature: str = "image") -> ImagesOnDemand:
    """Returns the encoded images of all records of some files, in order.

    TensorFlow compares each record with its checksum in the pass that finds the places.

    Args:
        paths: files of `tf.train.Example`s, without compression.
        feature: name of the feature that has the image.

    Raises:
        tf.errors.OpError: a file can't be read, or a record is damaged.
    """
    places = [_places(number, path) for number, path in enumerate(paths)]
    return ImagesOnDemand(np.concatenate(places), _Reader(paths, feature))


def _places(number: int, path: epath.PathLike) -> np.ndarray:
    """`[records, 3]`, int64: number of the file, where the data begins, and how long it is."""
    sizes = tf.data.TFRecordDataset(str(path)).map(tf.strings.length).batch(10_000)
    found = [np.zeros(0, np.int64), *sizes.as_numpy_iterator()]
    lengths = np.concatenate(found).astype(np.int64)
    ends = np.cumsum(lengths + _BEFORE + _AFTER)
    return np.stack([np.full_like(lengths, number), ends - lengths - _AFTER, lengths], axis=1)


class _Reader:
    """Reads images by their places; the file that was read last stays open."""

    def __init__(self, paths: Sequence[epath.PathLike], feature: str) -> None:
        self._paths, self._feature = [str(path) for path in paths], feature
        self._number, self._file = -1, None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_number": -1, "_file": None}

    def __call__(self, place: np.ndarray) -> bytes:
        number, start, length = place.tolist()
        if self._file is None or number != self._number:
            self._number, self._file = number, epath.Path(self._paths[number]).open("rb")
        self._file.seek(start)
        record = self._file.read(length)
        if len(record) < length:
            raise InputError(f"{self._paths[number]} is shorter than it was: prepare it again.")
        features = tf.train.Example.FromString(record).features
        return features.feature[self._feature].bytes_list.value[0]

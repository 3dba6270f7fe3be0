"""Images by position, which are read one at a time, in any order and by any process."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

__all__ = ["ImagesOnDemand"]


def _itself(key: Any) -> Any:
    return key


class ImagesOnDemand:
    """Images with random access: `images[i]` is read when it is asked for.

    They can be pickled if `read` can, so that another process reads them by the same positions.

    Args:
        keys: for each of n images, what `read` needs to find it: a path, the place of a record; or
            an image itself.
        read: function that returns the image of a key: encoded bytes, or an array `[height, width,
            channels]`, uint8. Default: the key is the image.
    """

    def __init__(
        self, keys: Sequence[Any] | np.ndarray, read: Callable[[Any], Any] = _itself
    ) -> None:
        self._keys, self._read = keys, read

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, position: int) -> Any:
        return self._read(self._keys[position])

    def __iter__(self) -> Iterator[Any]:
        return (self._read(key) for key in self._keys)

    def part(self, positions: np.ndarray) -> "ImagesOnDemand":
        """Returns some of the images, without holding on to the others.

        Args:
            positions: `[m]`, integers in [0, n), in any order.
        """
        keys = self._keys
        chosen = keys[positions] if isinstance(keys, np.ndarray) else [keys[i] for i in positions]
        return ImagesOnDemand(chosen, self._read)

    def then(self, convert: Callable[[Any], Any]) -> "ImagesOnDemand":
        """Returns these images as a function converts them, each when it is read."""
        return ImagesOnDemand(self._keys, functools.partial(_read_and_convert, self._read, convert))


def _read_and_convert(read: Callable[[Any], Any], convert: Callable[[Any], Any], key: Any) -> Any:
    return convert(read(key))

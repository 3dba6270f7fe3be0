"""Images without files, which other processes can have, too."""

import io

import numpy as np
from PIL import Image

from mentormix_tf.data.sources.images_on_demand import ImagesOnDemand

_DIFFERENT = 256  # JPEGs


def jpegs(count: int, side: int) -> ImagesOnDemand:
    """JPEGs of `side` x `side` random pixels: 256 different ones in turn."""
    random = np.random.RandomState(0)
    made = [_jpeg(random.bytes(side * side * 3), side) for _ in range(_DIFFERENT)]
    return ImagesOnDemand(np.arange(count) % _DIFFERENT, made.__getitem__)


def _jpeg(pixels: bytes, side: int) -> bytes:
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), pixels).save(file, "jpeg")
    return file.getvalue()


def same_bytes(count: int, size: int) -> ImagesOnDemand:
    """The same random bytes `count` times, which are no image."""
    return ImagesOnDemand([np.random.RandomState(0).bytes(size)] * count)

"""Small versions of images, for pages."""

import io

import numpy as np
from PIL import Image

__all__ = ["thumbnail"]


def thumbnail(image: np.ndarray, side: int = 160) -> bytes:
    """Encodes an image, made smaller if it is larger, as a PNG or WebP file, whichever is smaller.

    Args:
        image: `[height, width, channels]`, uint8; of 3 or more channels, the first three are red,
            green and blue, of fewer the first is gray.
        side: the longest side of the result, in pixels.
    """
    shown = Image.fromarray(image[..., :3] if image.shape[-1] >= 3 else image[..., 0])
    shown.thumbnail((side, side))
    encoded = []
    for kind, options in (("PNG", {"optimize": True}), ("WEBP", {"quality": 80})):
        file = io.BytesIO()
        shown.save(file, kind, **options)
        encoded.append(file.getvalue())
    return min(encoded, key=len)

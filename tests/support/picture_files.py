"""Image files in many formats."""

import io

import numpy as np
from PIL import Image


def encode(array, kind="png", mode=None, **options):
    """Encodes an array of pixels as the bytes of an image file."""
    file = io.BytesIO()
    image = Image.fromarray(np.asarray(array, np.uint8).squeeze())
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()

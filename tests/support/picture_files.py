"""Image files in many formats."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def encode(array, kind="png", mode=None, **options):
    """Encodes an array of pixels as the bytes of an image file."""
    file = io.BytesIO()
    image = Image.fromarray(np.asarray(array, np.uint8).squeeze())
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


def exif_block(orientation, order="<", kind=3, length=1, count=1):
    """An EXIF block of `count` entries, of which the last is the orientation."""
    magic = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    others = b"".join(
        struct.pack(order + "HHIHH", 1 + i, 3, 1, i, 0) for i in range(count - 1)
    )  # tags below that of the orientation
    entry = struct.pack(order + "HHIHH", 0x0112, kind, length, orientation, 0)
    return magic + struct.pack(order + "H", count) + others + entry + bytes(4)


def jpeg_with(array, *segments):
    """A JPEG that begins with the given segments, pairs of a marker's number and bytes."""
    jpeg = encode(array, "jpeg", quality=95)
    rest = jpeg[2 + 18 :]  # without the segment JFIF
    parts = [
        bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data for marker, data in segments
    ]
    return jpeg[:2] + b"".join(parts) + rest


def png_with(array, *chunks, after=False):
    """A PNG with the given chunks, pairs of a name and bytes, before or after its pixels."""
    png = encode(array)
    place = len(png) - 12 if after else 33
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    ]
    return png[:place] + b"".join(parts) + png[place:]

"""Checks and converts encoded images before they are stored."""

import io
import logging
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from mentormix_tf.data import augment
from mentormix_tf.data.sources.base import SourceSplit
from mentormix_tf.errors import InputError

__all__ = ["as_png", "check", "storable"]

_log = logging.getLogger(__name__)


def check(split: SourceSplit, name: str, skip_bad_images: bool) -> SourceSplit:
    """Tries to decode every image of a split.

    Args:
        split: the split, whose images are encoded.
        name: name of the split, for the progress bar and messages.
        skip_bad_images: whether to leave out images that can't be decoded.

    Returns:
        The split without those images. Formats that TensorFlow can't decode, such as WebP, are
        converted to PNG; see `storable`.

    Raises:
        InputError: an image can't be decoded and skip_bad_images is False, or no image can be
            decoded.
    """
    pairs = zip(split.ids, split.images(), strict=True)
    bar = tqdm(pairs, f"Trying {name} images", len(split.ids), disable=None)  # in terminals only
    bad = [identifier for identifier, image in bar if not _decodes(image)]
    if bad and not skip_bad_images:
        raise InputError(
            f"{len(bad)} of {len(split.ids)} {name} images can't be decoded, the first is "
            f"{bad[0]}: remove them or pass --skip_bad_images to leave them out."
        )
    for identifier in bad:
        _log.warning("Left out %s: it can't be decoded.", identifier)
    kept = ~np.isin(split.ids, bad)
    if not kept.any():
        raise InputError(f"None of the {len(split.ids)} {name} images can be decoded.")

    def images() -> Iterator[bytes]:
        return (storable(im) for im, keep in zip(split.images(), kept, strict=True) if keep)

    return SourceSplit(
        ids=[identifier for identifier, keep in zip(split.ids, kept, strict=True) if keep],
        labels=split.labels[kept],
        images=images,
        true_labels=split.true_labels[kept],
        is_clean=split.is_clean[kept],
    )


def _decodes(image: bytes) -> bool:
    try:
        augment.decode(tf.constant(storable(image)), channels=3)
        return True
    except (tf.errors.OpError, OSError, ValueError):
        return False


def storable(image: bytes) -> bytes:
    """Converts an image to PNG unless TensorFlow decodes its format correctly.

    Args:
        image: encoded image. JPEG, PNG, GIF and BMP are returned unchanged, except a BMP with a
            palette, whose colors TensorFlow ignores. WebP, TIFF and the other formats that Pillow
            reads are converted.

    Returns:
        The encoded image.

    Raises:
        OSError: the bytes are not an image, or the image is broken.
        ValueError: the image is implausibly large, or has more than 8 bits per channel.
    """
    has_palette = image.startswith(b"BM") and image[28:29] <= b"\x08"  # bits per pixel
    known = image.startswith((b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM"))
    return image if known and not has_palette else as_png(image)


def as_png(image: bytes) -> bytes:
    """Converts an image that Pillow can read to PNG.

    Args:
        image: encoded image; only the first frame of an animation is used.

    Returns:
        The PNG: grayscale if the image is, otherwise RGB.

    Raises: see `storable`.
    """
    try:
        opened = Image.open(io.BytesIO(image))
        if opened.mode.startswith(("I", "F")):
            raise ValueError(f"it has pixels of Pillow's mode {opened.mode} instead of 8 bits")
        png = io.BytesIO()
        opened.convert("L" if opened.mode in ("1", "L", "LA") else "RGB").save(png, "png")
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from error
    return png.getvalue()

"""Trying images before they are stored."""

import io
import logging

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from mentormix_tf.data import augment
from mentormix_tf.data.sources.base import SourceSplit
from mentormix_tf.errors import InputError

_log = logging.getLogger(__name__)


def check(split, name, skip_bad_images):
    """Tries to decode every image of a split.

    Args:
        split: `SourceSplit`.
        name: its name, for the progress bar.
        skip_bad_images: leave images out that can't be decoded.

    Returns:
        `SourceSplit` without those images; WebP, which TensorFlow can't decode, comes as PNG.

    Raises:
        InputError: an image can't be decoded, and skip_bad_images is not set; or none can.
    """
    pairs = zip(split.ids, split.images(), strict=True)
    bar = tqdm(pairs, f"Trying {name} images", len(split.ids), disable=None)  # in terminals only
    bad = [identifier for identifier, image in bar if not _decodes(image)]
    if bad and not skip_bad_images:
        raise InputError(
            f"{len(bad)} of {len(split.ids)} {name} images can't be decoded, the first is "
            f"{bad[0]}: remove them, or leave them out with --skip_bad_images."
        )
    for identifier in bad:
        _log.warning("Left out %s: it can't be decoded.", identifier)
    kept = ~np.isin(split.ids, bad)
    if not kept.any():
        raise InputError(f"None of the {len(split.ids)} {name} images can be decoded.")

    def images():
        return (storable(im) for im, keep in zip(split.images(), kept, strict=True) if keep)

    return SourceSplit(
        ids=[identifier for identifier, keep in zip(split.ids, kept, strict=True) if keep],
        labels=split.labels[kept],
        images=images,
        true_labels=split.true_labels[kept],
        is_clean=split.is_clean[kept],
    )


def _decodes(image):
    try:
        augment.decode(storable(image), channels=3)
        return True
    except (tf.errors.OpError, OSError, ValueError):
        return False


def storable(image):
    """An image as TensorFlow decodes it: what it can't, or not well, comes as PNG.

    Args:
        image: encoded bytes. JPEG, PNG, GIF and BMP stay as they are, except a BMP with a palette,
            whose colours TensorFlow overlooks; WebP, TIFF and what else Pillow reads do not.

    Returns:
        Encoded bytes.

    Raises:
        OSError: it is no image, or a broken one.
        ValueError: it is too large to be one, or its pixels have more than 8 bits a channel.
    """
    has_palette = image.startswith(b"BM") and image[28:29] <= b"\x08"  # bits a pixel
    known = image.startswith((b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM"))
    return image if known and not has_palette else as_png(image)


def as_png(image):
    """An image that Pillow can read, as PNG.

    Args:
        image: encoded bytes.

    Returns:
        Encoded bytes, grey where the image is, else RGB; of several frames the first.

    Raises: see `storable`.
    """
    try:
        opened = Image.open(io.BytesIO(image))
        if opened.mode.startswith(("I", "F")):
            raise ValueError(f"its pixels are of Pillow's mode {opened.mode}, not of 8 bits")
        png = io.BytesIO()
        opened.convert("L" if opened.mode in ("1", "L", "LA") else "RGB").save(png, "png")
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from error
    return png.getvalue()

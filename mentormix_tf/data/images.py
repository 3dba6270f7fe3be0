"""Reads image files, checks encoded images, and converts those that TensorFlow can't decode."""

import dataclasses
import functools
import io
import logging
import os
import re
import stat
import warnings
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from mentormix_tf import files
from mentormix_tf.data import decoding, headers
from mentormix_tf.data.sources.base import SourceSplit
from mentormix_tf.data.sources.images_on_demand import ImagesOnDemand
from mentormix_tf.errors import InputError

__all__ = [
    "FORMATS",
    "BadImage",
    "as_png",
    "bad_images",
    "check",
    "num_pixels",
    "read",
    "reason",
    "shrunk",
    "storable",
]

_log = logging.getLogger(__name__)

# Pillow knows many more, and starts another program, Ghostscript, for one of them.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")
_ORIENTATION = 0x0112  # tag in EXIF
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Sizes are checked here, and damaged EXIF is ignored: Pillow need not warn of them.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", module="PIL.TiffImagePlugin")


class BadImage(Exception):
    """An image that can't be used; the message is the reason, as words without a full stop."""


def read(path: str | os.PathLike[str], max_pixels: int) -> bytes:
    """Reads an image file.

    Args:
        path: the file, or a link to one.
        max_pixels: most pixels that an image may have; a file whose size is out of proportion to
            them is not read.

    Raises:
        BadImage: it can't be read, is not a regular file, or is empty or too large.
    """
    path = os.path.expanduser(path)
    most = 4 * max_pixels + 2**24  # bytes: pixels without compression, and what else a file holds
    try:
        # Opening a pipe would wait for its writer, and a device may have no end.
        if not stat.S_ISREG(os.stat(path).st_mode):
            kind = "a folder" if os.path.isdir(path) else "not a regular file"
            raise BadImage(f"it is {kind}")
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            encoded = file.read(most + 1) if size <= most else b""
    except (OSError, ValueError) as error:
        raise BadImage(files.reason(error)) from error
    if size > most or len(encoded) > most:
        raise BadImage(
            f"the file has {max(size, len(encoded)):,} bytes, more than an image of "
            f"max_image_pixels={max_pixels} needs"
        )
    if not encoded:
        raise BadImage("the file is empty")
    return encoded


def check(
    split: SourceSplit,
    name: str,
    skip_bad_images: bool,
    max_pixels: int,
    checker: Callable[[ImagesOnDemand, int, str], dict[int, str]] | None = None,
) -> SourceSplit:
    """Tries to decode every image of a split.

    Args:
        split: the split, whose images are encoded.
        name: name of the split, for the progress bar and messages.
        skip_bad_images: whether to leave out images that can't be decoded.
        max_pixels: most pixels that an image may have.
        checker: does what `bad_images` does, which is the default, in other processes.

    Returns:
        The split without those images. Formats that TensorFlow can't decode, such as WebP, are
        converted to PNG; see `storable`.

    Raises:
        InputError: an image can't be decoded and skip_bad_images is False, or no image can be
            decoded.
    """
    bad = (checker or bad_images)(split.images, max_pixels, name)
    if bad and not skip_bad_images:
        first = min(bad)
        raise InputError(
            f"{len(bad)} of {len(split.ids)} {name} images can't be decoded, the first is "
            f"{split.ids[first]} ({bad[first]}): remove them or pass --skip_bad_images to leave "
            "them out."
        )
    for position in sorted(bad):
        text = "Left out %s: it can't be decoded (%s)."
        _log.warning(text, split.ids[position], bad[position])
    kept = np.ones(len(split.ids), bool)
    kept[list(bad)] = False
    if not kept.any():
        raise InputError(f"None of the {len(split.ids)} {name} images can be decoded.")
    good = split.where(kept)
    convert = functools.partial(storable, max_pixels=max_pixels)
    return dataclasses.replace(good, images=good.images.then(convert))


def bad_images(images: ImagesOnDemand, max_pixels: int, name: str) -> dict[int, str]:
    """Tries to decode images.

    Args:
        images: encoded images.
        max_pixels: most pixels that an image may have.
        name: name of their split, for the progress bar.

    Returns:
        The reasons why images can't be used, by position.
    """
    bar = tqdm(images, f"Trying {name} images", len(images), disable=None)  # in terminals only
    reasons = ((position, _why_bad(image, max_pixels)) for position, image in enumerate(bar))
    return {position: why for position, why in reasons if why is not None}


def _why_bad(image: bytes, max_pixels: int) -> str | None:
    try:
        _try(tf.constant(storable(image, max_pixels)))
        return None
    except Exception as error:
        return reason(error)


@tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
def _try(image: tf.Tensor) -> tf.Tensor:
    return tf.size(decoding.stored(image, channels=3)[0])


def reason(error: Exception) -> str:
    """Describes in a few words why an image can't be used.

    Args:
        error: a `BadImage`, or any error that decoding the image raised.
    """
    if isinstance(error, BadImage):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        return "not an image that can be read"
    if isinstance(error, Image.DecompressionBombError):
        return "it has too many pixels"
    text = str(getattr(error, "message", error))  # of TensorFlow, or of others
    # TensorFlow puts the nodes of its graph before and after its message.
    lines = re.sub(r"\{\{[^{}]*\}\}", "", text).strip().splitlines()
    told = [line.strip() for line in lines if line.strip() and "[[" not in line]
    return f"the image can't be decoded: {told[-1] if told else type(error).__name__}"


def num_pixels(image: bytes) -> int:
    """Reads the number of pixels of an encoded image from its header.

    Raises:
        BadImage: the bytes are not an image.
    """
    try:
        if _stays(image):
            return int(_header_pixels(image))
        with _opened(image) as opened:
            return opened.width * opened.height
    except Exception as error:  # Pillow's parsers raise errors of any type on broken files
        raise BadImage(reason(error)) from error


_header_pixels = tf.function(
    headers.num_pixels, input_signature=[tf.TensorSpec([], tf.string)], autograph=False
)


def storable(image: bytes, max_pixels: int) -> bytes:
    """Converts an image to PNG unless TensorFlow decodes its format correctly.

    Args:
        image: encoded image. JPEGs, PNGs and BMPs of 24 bits are returned unchanged, except PNGs
            with EXIF in a form that only Pillow reads. Other BMPs, GIF, WebP and TIFF are
            converted.
        max_pixels: most pixels that it may have; its header is read first.

    Returns:
        The encoded image.

    Raises:
        BadImage: the bytes are not an image, it is broken or too large, or has more than 8 bits
            per channel.
    """
    count = num_pixels(image)
    if count > max_pixels:
        raise BadImage(f"it has {count:,} pixels, more than max_image_pixels={max_pixels}")
    return image if _stays(image) else as_png(image)


def _stays(image: bytes) -> bool:
    if image.startswith(b"\x89PNG"):
        return b"Raw profile type exif" not in image  # of old ImageMagick
    # TensorFlow misreads other BMPs: it ignores palettes, and takes unused bytes for transparency.
    is_usual = image[14:18] >= b"\x28\0\0\0" and image[28:30] == b"\x18\0"
    return image.startswith(b"\xff\xd8\xff") or (image.startswith(b"BM") and is_usual)


def as_png(image: bytes) -> bytes:
    """Converts an image that Pillow can read to PNG.

    Args:
        image: encoded image, in one of `FORMATS`; only the first frame of an animation is used.

    Returns:
        The PNG: grayscale if the image is, otherwise RGB; upright, and with transparent pixels
        on white, as `decoding` shows other images.

    Raises: see `storable`.
    """
    try:
        with _opened(image) as opened:
            if opened.mode.startswith(("I", "F")):
                raise BadImage(f"it has pixels of Pillow's mode {opened.mode} instead of 8 bits")
            opened.load()  # which turns a TIFF
            shown = _on_white(opened)
            turned = _UPRIGHT.get(_orientation(opened))
            shown = shown if turned is None else shown.transpose(turned)
            png = io.BytesIO()
            # What else the file says of itself was for the pixels as they were stored.
            shown.save(png, "png", exif=b"", icc_profile=None)
    except BadImage:
        raise
    except Exception as error:  # Pillow's parsers raise errors of any type on broken files
        raise BadImage(reason(error)) from error
    return png.getvalue()


def shrunk(image: bytes | np.ndarray, side: int) -> np.ndarray:
    """Makes a small picture of an image.

    Args:
        image: encoded image, or pixels `[height, width, channels]`, uint8.
        side: longest side; longer sides are shrunk to it, each by itself.

    Returns:
        `[height, width, 3]`, uint8, as stored: not turned by EXIF.

    Raises:
        BadImage: the bytes are not an image.
    """
    try:
        if isinstance(image, np.ndarray):
            opened = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        else:
            opened = _opened(image)
        with opened:
            shown = _on_white(opened).convert("RGB")
        small = min(shown.width, side), min(shown.height, side)
        return np.asarray(shown.resize(small, Image.Resampling.BOX))
    except Exception as error:  # Pillow's parsers raise errors of any type on broken files
        raise BadImage(reason(error)) from error


def _opened(image: bytes) -> Image.Image:
    """Opens an image, of which Pillow then has read only the header."""
    return Image.open(io.BytesIO(image), formats=FORMATS)


def _on_white(image: Image.Image) -> Image.Image:
    is_gray = image.mode in ("1", "L", "LA", "La")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        colors = image.convert("RGBA")
        image = Image.new("RGBA", image.size, "white")
        image.alpha_composite(colors)
    mode = "L" if is_gray else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a damaged EXIF block
        return 1

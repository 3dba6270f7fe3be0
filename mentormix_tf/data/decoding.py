"""Decodes images as people see them: upright, and with transparent pixels on white.

Training, evaluation, the predict command and exported models all decode by these functions.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from mentormix_tf.data import headers

__all__ = ["stored", "stored_window", "turn", "upright_sides", "window"]


def stored(encoded: tf.Tensor, channels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes an image: JPEG, PNG, BMP, or the first frame of a GIF.

    Transparent pixels of a PNG are shown on white if the result has 1 or 3 channels.

    Args:
        encoded: scalar string.
        channels: number of channels of the result; TensorFlow can convert to 1 and to 3.

    Returns:
        The image as stored, `[height, width, channels]`, uint8, and the EXIF orientation for
        `turn`, int32. Turning takes long for large images, so it is best done after resizing.
    """

    def special():
        image = tf.cond(
            headers.may_be_transparent(encoded),
            lambda: _png_on_white(encoded, channels),
            lambda: plain()[0],
        )
        return image, headers.orientation(encoded)

    def plain():
        return _decode_any(encoded, channels), tf.constant(1)

    image, orientation = tf.cond(headers.is_plain(encoded), plain, special)
    return tf.ensure_shape(image, [None, None, channels]), orientation


def stored_window(
    encoded: tf.Tensor,
    channels: int,
    choose: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes a part of an image, and does not turn it; of a JPEG, only that part is decoded.

    Args:
        encoded: scalar string.
        channels: see `stored`.
        choose: maps the shape of the upright image, `[3]`, int32, to the corner and the size of the
            part, each `[2]`, int32.

    Returns:
        The part as stored, `[height, width, channels]`, uint8, and the image's EXIF orientation.
    """

    def box(shape, orientation):
        upright = tf.concat([upright_sides(shape[:2], orientation), shape[2:]], 0)
        begin, size = choose(upright)
        begin = tf.where(_flips(orientation), upright[:2] - begin - size, begin)
        return upright_sides(begin, orientation), upright_sides(size, orientation)

    def from_jpeg():
        orientation = tf.cond(
            headers.is_plain(encoded), lambda: tf.constant(1), lambda: headers.orientation(encoded)
        )
        part = tf.concat(box(tf.io.extract_jpeg_shape(encoded), orientation), 0)
        return tf.image.decode_and_crop_jpeg(encoded, part, channels), orientation

    def from_other():
        image, orientation = stored(encoded, channels)
        return window(image, *box(tf.shape(image), orientation)), orientation

    return tf.cond(tf.io.is_jpeg(encoded), from_jpeg, from_other)


def window(image: tf.Tensor, begin: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Cuts a part out of an image.

    Args:
        image: `[height, width, channels]`.
        begin: the corner of the part: `[2]`, int32.
        size: the height and width of the part: `[2]`, int32.
    """
    return tf.slice(image, tf.concat([begin, [0]], 0), tf.concat([size, [-1]], 0))


# An image is upright after it was transposed, if its orientation is 5 or more, and then flipped.


def turn(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Makes an image upright.

    Args:
        image: `[height, width, channels]`, as stored.
        orientation: its EXIF orientation, scalar int32 in 1..8.
    """

    def turned():
        axes: Any = tf.where(orientation >= 5, [1, 0, 2], [0, 1, 2])
        return tf.reverse(tf.transpose(image, axes), tf.boolean_mask([0, 1], _flips(orientation)))

    upright = tf.cond(orientation > 1, turned, lambda: tf.identity(image))
    return tf.ensure_shape(upright, [None, None, image.shape[-1]])


def upright_sides(sides: tf.Tensor | Sequence[int], orientation: tf.Tensor) -> tf.Tensor:
    """Exchanges height and width, `[2]`, if `turn` does; also turns those of an upright image back.

    Args:
        sides: height and width, or a position: `[2]`, int32.
        orientation: see `turn`.
    """
    return tf.where(orientation >= 5, tf.reverse(sides, [0]), sides)


def _flips(orientation):
    """Whether to flip the rows and the columns of a transposed image: `[2]`, bool."""
    rows = tf.reduce_any(orientation == [3, 4, 7, 8])
    return tf.stack([rows, tf.reduce_any(orientation == [2, 3, 6, 7])])


def _decode_any(encoded, channels):
    def converted():
        return tf.io.decode_image(encoded, channels, expand_animations=False)

    def gray_from_rgb():
        return tf.image.rgb_to_grayscale(tf.io.decode_image(encoded, 3, expand_animations=False))

    if channels != 1:
        return converted()
    # TensorFlow converts only JPEG and PNG to grayscale.
    start = tf.strings.substr(encoded, 0, 2)
    return tf.cond(tf.reduce_any(start == [b"BM", b"GI"]), gray_from_rgb, converted)


def _png_on_white(encoded, channels):
    if channels not in (1, 3):
        return tf.io.decode_png(encoded, channels)
    image = tf.cast(tf.io.decode_png(encoded, 4), tf.uint16)
    color, alpha = image[..., :3], image[..., 3:]
    mixed = color * alpha + 255 * (255 - alpha) + 128
    color = tf.cast((mixed + mixed // 256) // 256, tf.uint8)  # divided by 255 and rounded
    return color if channels == 3 else tf.image.rgb_to_grayscale(color)

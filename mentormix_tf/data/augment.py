"""Augmentation: turns a stored image into the input of training or evaluation.

An augmentation has two stages: `decode` turns encoded bytes into an image of the requested size
(and, for a random crop of a large JPEG, decodes only that crop), and `distort` transforms a whole
batch of decoded images. All random draws are pure functions of a seed.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from mentormix_tf import randomness
from mentormix_tf.data import colors, decoding
from mentormix_tf.errors import InputError

__all__ = [
    "AUGMENTATIONS",
    "VIEWS",
    "Augmentation",
    "crop_and_flip",
    "decode_center_crop",
    "decode_random_crop",
    "decode_whole",
    "drawn_view",
    "first_view",
    "for_evaluation",
    "get",
    "keep",
    "released_cifar",
    "resize_center",
    "resize_whole",
    "shown_shape",
]


def keep(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns images unchanged."""
    return images


def crop_and_flip(padding: int) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Makes a function that pads with black, takes a random crop, and flips at random.

    Each image has its own crop, of the original size, and is flipped horizontally with
    probability 1/2.

    Args:
        padding: pixels to add on each side.

    Returns:
        A function of images `[batch, height, width, channels]`, float32, and a seed `[2]`, int32,
        that returns images of the same shape and dtype.
    """

    def distort(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        batch, height, width = tf.unstack(tf.shape(images)[:3])
        draws = randomness.uniform([3, batch], seed)
        if padding == 0:
            return _flipped(images, draws[2] >= 0.5)
        padded = tf.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
        offsets = tf.cast(draws[:2] * (2 * padding + 1), tf.int32)[:, :, None]
        columns = tf.range(width)[None]
        columns = tf.where(draws[2][:, None] < 0.5, columns, width - 1 - columns) + offsets[1]
        cropped = tf.gather(padded, tf.range(height)[None] + offsets[0], axis=1, batch_dims=1)
        cropped = tf.gather(cropped, columns, axis=2, batch_dims=1)
        return tf.ensure_shape(cropped, images.shape)

    return distort


def _flipped(images, where):
    """Flips some images horizontally; in this form, TensorFlow copies whole rows."""
    shape, channels = tf.shape(images), images.shape[-1]
    rows = tf.reshape(images, [shape[0] * shape[1], shape[2], channels])
    flipped = tf.reshape(tf.reverse(rows, [1]), [shape[0], -1])
    chosen = tf.where(where[:, None], flipped, tf.reshape(images, [shape[0], -1]))
    return tf.ensure_shape(tf.reshape(chosen, shape), images.shape)


def released_cifar(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Augments like the released code does for CIFAR: pad 2, crop, flip, then distort colors.

    Args:
        images: `[batch, height, width, 3]`, float32, in [0, 255].
        seed: `[2]`, int32.

    Returns:
        Images of the same shape, dtype and range.
    """
    images = crop_and_flip(2)(images, randomness.fold_in(seed, 0))
    return colors.distort(images, randomness.fold_in(seed, 1))


def resize_whole(
    image: tf.Tensor, image_shape: Sequence[int], orientation: tf.Tensor | None = None
) -> tf.Tensor:
    """Resizes an image unless it already has the requested size, and makes it upright.

    Args:
        image: `[height, width, channels]`, uint8 or float32.
        image_shape: `(height, width, channels)` of the result.
        orientation: EXIF orientation of the image, int32 in 1..8; None if it is upright.

    Returns:
        `[height, width, channels]`, float32, in [0, 255].
    """
    orientation = tf.constant(1) if orientation is None else orientation
    sides = decoding.upright_sides(image_shape[:2], orientation)
    image = tf.cond(
        tf.reduce_all(tf.equal(tf.shape(image)[:2], sides)),
        lambda: tf.cast(image, tf.float32),
        lambda: _resized(image, sides),
    )
    return tf.ensure_shape(decoding.turn(image, orientation), image_shape)


def resize_center(image: tf.Tensor, image_shape: Sequence[int]) -> tf.Tensor:
    """Cuts out a central square, 87.5 % of the shorter side, and resizes it.

    Args and returns: see `resize_whole`.
    """
    window = decoding.window(image, *_center(tf.shape(image)))
    return _resize_window(window, tf.constant(1), image_shape)


def decode_whole(
    encoded: tf.Tensor, image_shape: Sequence[int], seed: tf.Tensor | None = None
) -> tf.Tensor:
    """Decodes an image and resizes it unless it already has the requested size.

    Args:
        encoded: scalar string.
        image_shape: `(height, width, channels)` of the result.
        seed: unused.

    Returns:
        `[height, width, channels]`, float32, in [0, 255].
    """
    image, orientation = decoding.stored(encoded, image_shape[-1])
    return resize_whole(image, image_shape, orientation)


def decode_random_crop(
    encoded: tf.Tensor, image_shape: Sequence[int], seed: tf.Tensor
) -> tf.Tensor:
    """Decodes ImageNet's training crop: 8-100 % of the area, aspect ratio 3/4-4/3, resized.

    Only the crop of a JPEG is decoded. Source: Szegedy et al., "Going Deeper with Convolutions",
    2015.

    Args:
        encoded: scalar string.
        image_shape: `(height, width, channels)` of the result.
        seed: `[2]`, int32.

    Returns:
        `[height, width, channels]`, float32, in [0, 255].
    """
    whole = tf.constant([0.0, 0.0, 1.0, 1.0], shape=[1, 1, 4])

    def draw(shape):
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            shape,
            whole,
            seed,
            min_object_covered=0.1,
            aspect_ratio_range=[3 / 4, 4 / 3],
            area_range=[0.08, 1.0],
            use_image_if_no_bounding_boxes=True,
        )
        return begin[:2], size[:2]

    part, orientation = decoding.stored_window(encoded, image_shape[-1], draw)
    return _resize_window(part, orientation, image_shape)


def decode_center_crop(
    encoded: tf.Tensor, image_shape: Sequence[int], seed: tf.Tensor | None = None
) -> tf.Tensor:
    """Decodes ImageNet's evaluation crop: a central square, 87.5 % of the shorter side, resized.

    Only the crop of a JPEG is decoded.

    Args and returns: see `decode_whole`.
    """
    part, orientation = decoding.stored_window(encoded, image_shape[-1], _center)
    return _resize_window(part, orientation, image_shape)


def _center(shape):
    """The corner and the size of the central square of 87.5 % of the shorter side: `[2]`, int32."""
    side = tf.cast(0.875 * tf.cast(tf.reduce_min(shape[:2]), tf.float32), tf.int32)
    side = tf.maximum(side, 1)
    return (shape[:2] - side) // 2, tf.stack([side, side])


def _resize_window(window, orientation, image_shape):
    *sides, channels = image_shape
    window = tf.ensure_shape(window, [None, None, channels])
    sides = decoding.upright_sides(sides, orientation)
    return tf.ensure_shape(decoding.turn(_resized(window, sides), orientation), image_shape)


def _resized(image, sides):
    """Resizes bilinearly, with antialiasing where it changes something, as that takes longer."""
    return tf.cond(
        tf.reduce_any(tf.shape(image)[:2] > sides),
        lambda: tf.image.resize(image, sides, antialias=True),
        lambda: tf.image.resize(image, sides),
    )


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How images are decoded for training and for evaluation, and distorted for training.

    Attributes:
        decode_train: function of encoded bytes, image shape and seed; see `decode_whole`.
        decode_eval: function of the same arguments that ignores the seed.
        distort: function of a batch and a seed, used in training; see `keep`.
        resize_eval: the part of `decode_eval` that follows decoding; see `resize_whole`.
    """

    decode_train: Callable[..., tf.Tensor] = decode_whole
    decode_eval: Callable[..., tf.Tensor] = decode_whole
    distort: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = keep
    resize_eval: Callable[[tf.Tensor, Sequence[int]], tf.Tensor] = resize_whole


AUGMENTATIONS = {
    "none": Augmentation(),
    "cifar": Augmentation(distort=released_cifar),
    "cifar_standard": Augmentation(distort=crop_and_flip(4)),
    "imagenet": Augmentation(
        decode_random_crop, decode_center_crop, crop_and_flip(0), resize_center
    ),
}


def first_view(
    views: tf.Tensor, feature_shape: Sequence[int], seed: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns the features of each image as evaluation shows it.

    Args:
        views: `[batch, views, size]`, float32.
        feature_shape: unused.
        seed: unused.

    Returns:
        `[batch, size]`, float32.
    """
    return views[:, 0]


def drawn_view(views: tf.Tensor, feature_shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
    """Draws the features of one view of each image.

    Args:
        views: `[batch, views, size]`, float32.
        feature_shape: unused.
        seed: `[2]`, int32.

    Returns:
        `[batch, size]`, float32.
    """
    count: Any = views.shape[1]
    draws = randomness.uniform([tf.shape(views)[0]], seed)
    return tf.gather(views, tf.cast(draws * count, tf.int32), axis=1, batch_dims=1)


# How a batch is made of images whose features were computed before.
VIEWS = Augmentation(drawn_view, first_view)


def get(name: str, image_shape: Sequence[int | None]) -> Augmentation:
    """Returns an augmentation by name.

    Args:
        name: one of `AUGMENTATIONS`, or "auto": cifar for 32 x 32 color images, imagenet for
            images that are more than 64 pixels high or vary in size, otherwise none.
        image_shape: `(height, width, channels)` of the stored images; None for a side that varies.

    Raises:
        InputError: the name is unknown, or is "cifar" and the images are not in color.
    """
    height, _, channels = image_shape
    if name == "auto":
        is_cifar = tuple(image_shape) == (32, 32, 3)
        name = "cifar" if is_cifar else "imagenet" if height is None or height > 64 else "none"
    if name not in AUGMENTATIONS:
        raise InputError(
            f"augmentation={name} is unknown: choose one of auto, {', '.join(AUGMENTATIONS)}."
        )
    if name == "cifar" and channels != 3:
        raise InputError(
            f"augmentation=cifar distorts colors, so it needs images of 3 channels, not {channels}."
        )
    return AUGMENTATIONS[name]


def shown_shape(
    stored_image_shape: tuple[int | None, int | None, int], image_size: int
) -> tuple[int, int, int]:
    """Returns the shape of the images that the network sees: `(height, width, channels)`.

    Args:
        stored_image_shape: `(height, width, channels)` of the stored images; None for a side that
            varies.
        image_size: height and width in pixels; 0 for the images' own size, or 224 if that varies.
    """
    height, width, channels = stored_image_shape
    if image_size or height is None or width is None:
        height = width = image_size or 224
    return height, width, channels


def for_evaluation(
    augmentation: Augmentation, stored_image_shape: Sequence[int | None]
) -> Augmentation:
    """Returns the augmentation to evaluate with: images stored at one size are not cropped.

    Args:
        augmentation: the augmentation of the run.
        stored_image_shape: `(height, width, channels)` of the stored images; None for a side that
            varies.

    Returns:
        An augmentation whose `decode_eval` and `resize_eval` are the ones to use; `VIEWS` itself.
    """
    is_shown_whole = None not in stored_image_shape and augmentation is not VIEWS
    return AUGMENTATIONS["none"] if is_shown_whole else augmentation

"""Augmentation: how a stored image becomes what training or evaluation sees.

An augmentation has two parts: `decode`, from encoded bytes to an image of the size wanted (there a
random crop of a large image saves decoding the rest), and `distort`, on a whole batch of decoded
images. Their draws are pure functions of a seed.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from mentormix_tf import randomness
from mentormix_tf.errors import InputError


def keep(images, seed):
    """Leaves images as they are."""
    return images


def crop_and_flip(padding):
    """Makes a function that pads with black, crops back at random, and flips at random.

    Args:
        padding: pixels added at each side.

    Returns:
        Function of images `[batch, height, width, channels]`, float32, and a `[2]` int32 seed.
    """

    def distort(images, seed):
        batch, height, width = tf.unstack(tf.shape(images)[:3])
        draws = randomness.uniform([3, batch], seed)
        padded = tf.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
        offsets = tf.cast(draws[:2] * (2 * padding + 1), tf.int32)[:, :, None]
        columns = tf.range(width)[None]
        columns = tf.where(draws[2][:, None] < 0.5, columns, width - 1 - columns) + offsets[1]
        cropped = tf.gather(padded, tf.range(height)[None] + offsets[0], axis=1, batch_dims=1)
        cropped = tf.gather(cropped, columns, axis=2, batch_dims=1)
        return tf.ensure_shape(cropped, images.shape)

    return distort


def distort_color(images, seed):
    """The released code's colour distortion, with draws of its own for each image.

    Brightness ± 32/255, then saturation x 0.5-1.5, hue ± 0.2 and contrast x 0.5-1.5, with the
    contrast last or second, at random; clipped to the valid range at the end.

    Args:
        images: `[batch, height, width, 3]`, float32, in [0, 255].
        seed: `[2]`, int32.

    Returns:
        As `images`.
    """
    draws = randomness.uniform([5, tf.shape(images)[0]], seed)
    brightness, saturation, hue, contrast, order = tf.unstack(draws[:, :, None, None])
    contrast, contrast_last = 0.5 + contrast[..., None], order[..., None] < 0.5

    def adjust_contrast(rgb, factor):
        mean = tf.reduce_mean(rgb, axis=[1, 2], keepdims=True)
        return (rgb - mean) * factor + mean

    rgb = images / 255.0 + ((brightness * 2 - 1) * 32 / 255)[..., None]
    # A factor of 1 changes nothing: one pass through HSV then serves both orders.
    rgb = adjust_contrast(rgb, tf.where(contrast_last, 1.0, contrast))
    h, s, v = tf.unstack(tf.image.rgb_to_hsv(rgb), axis=-1)
    h = tf.math.floormod(h + (hue * 2 - 1) * 0.2, 1.0)
    s = tf.clip_by_value(s * (0.5 + saturation), 0.0, 1.0)
    rgb = tf.image.hsv_to_rgb(tf.stack([h, s, v], axis=-1))
    rgb = adjust_contrast(rgb, tf.where(contrast_last, contrast, 1.0))
    return tf.clip_by_value(rgb, 0.0, 1.0) * 255.0


def released_cifar(images, seed):
    """What the released code does to CIFAR: pad 2, crop, flip, then distort the colours."""
    images = crop_and_flip(2)(images, randomness.fold_in(seed, 0))
    return distort_color(images, randomness.fold_in(seed, 1))


def decode(encoded, channels):
    """Decodes an image: JPEG, PNG, BMP, or the first frame of a GIF.

    Args:
        encoded: scalar string.
        channels: how many the result has; TensorFlow converts to 1 and 3.

    Returns:
        `[height, width, channels]`, uint8.
    """

    def converted():
        return tf.io.decode_image(encoded, channels, expand_animations=False)

    def grey_of_rgb():
        return tf.image.rgb_to_grayscale(tf.io.decode_image(encoded, 3, expand_animations=False))

    if channels != 1:
        return converted()
    # To grey, TensorFlow converts JPEG and PNG only.
    start = tf.strings.substr(encoded, 0, 2)
    return tf.cond(tf.reduce_any(start == [b"BM", b"GI"]), grey_of_rgb, converted)


def resize_whole(image, image_shape):
    """Resizes an image where its size is not the one wanted.

    Args:
        image: `[height, width, channels]`, uint8 or float32.
        image_shape: `(height, width, channels)` of the result.

    Returns:
        `[height, width, channels]`, float32, in [0, 255].
    """
    same = tf.reduce_all(tf.equal(tf.shape(image)[:2], image_shape[:2]))
    image = tf.cond(
        same,
        lambda: tf.cast(image, tf.float32),
        lambda: tf.image.resize(image, image_shape[:2], antialias=True),
    )
    return tf.ensure_shape(image, image_shape)


def resize_center(image, image_shape):
    """Cuts out the middle 87.5 % of the shorter side and resizes it.

    Args: see `resize_whole`.
    """
    return _resize_window(_window(image, *_center(tf.shape(image))), image_shape)


def decode_whole(encoded, image_shape, seed=None):
    """Decodes an image, and resizes it where its size is not the one wanted.

    Args:
        encoded: scalar string.
        image_shape: `(height, width, channels)` of the result.
        seed: not used.

    Returns:
        `[height, width, channels]`, float32, in [0, 255].
    """
    return resize_whole(decode(encoded, image_shape[-1]), image_shape)


def decode_random_crop(encoded, image_shape, seed):
    """ImageNet's training crop: 8-100 % of the area, aspect 3/4-4/3, resized to the size wanted.

    (Szegedy et al., "Going Deeper with Convolutions", 2015.) Of a JPEG only the crop is decoded.

    Args: see `decode_whole`; `seed` is `[2]`, int32.
    """
    is_jpeg = tf.io.is_jpeg(encoded)
    channels = image_shape[-1]
    shape = tf.cond(
        is_jpeg,
        lambda: tf.io.extract_jpeg_shape(encoded),
        lambda: tf.shape(decode(encoded, channels)),
    )
    whole = tf.constant([0.0, 0.0, 1.0, 1.0], shape=[1, 1, 4])
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        shape,
        whole,
        seed,
        min_object_covered=0.1,
        aspect_ratio_range=[3 / 4, 4 / 3],
        area_range=[0.08, 1.0],
        use_image_if_no_bounding_boxes=True,
    )
    window = tf.cond(
        is_jpeg,
        lambda: _jpeg_window(encoded, begin[:2], size[:2], channels),
        lambda: _window(decode(encoded, channels), begin[:2], size[:2]),
    )
    return _resize_window(window, image_shape)


def decode_center_crop(encoded, image_shape, seed=None):
    """ImageNet's evaluation crop: the middle 87.5 % of the shorter side, resized.

    Args: see `decode_whole`.
    """
    channels = image_shape[-1]

    def from_jpeg():  # of which only the middle is decoded
        begin, size = _center(tf.io.extract_jpeg_shape(encoded))
        return _jpeg_window(encoded, begin, size, channels)

    def from_other():
        image = decode(encoded, channels)
        return _window(image, *_center(tf.shape(image)))

    return _resize_window(tf.cond(tf.io.is_jpeg(encoded), from_jpeg, from_other), image_shape)


def _center(shape):
    """Where the middle 87.5 % of the shorter side begin, and how large they are: `[2]`, int32."""
    side = tf.cast(0.875 * tf.cast(tf.reduce_min(shape[:2]), tf.float32), tf.int32)
    side = tf.maximum(side, 1)
    return (shape[:2] - side) // 2, tf.stack([side, side])


def _jpeg_window(encoded, begin, size, channels):
    return tf.image.decode_and_crop_jpeg(encoded, tf.concat([begin, size], 0), channels)


def _window(image, begin, size):
    return tf.slice(image, tf.concat([begin, [0]], 0), tf.concat([size, [-1]], 0))


def _resize_window(window, image_shape):
    height, width, channels = image_shape
    window = tf.ensure_shape(window, [None, None, channels])
    resized = tf.image.resize(window, [height, width], antialias=True)
    return tf.ensure_shape(tf.clip_by_value(resized, 0.0, 255.0), image_shape)


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How images are decoded for training and for evaluation, and distorted for training.

    Attributes:
        decode_train: function of encoded bytes, image shape and seed; see `decode_whole`.
        decode_eval: the same, which uses no seed.
        distort: function of a batch and a seed; see `keep`.
        resize_eval: what decode_eval does once an image is decoded; see `resize_whole`.
    """

    decode_train: Callable = decode_whole
    decode_eval: Callable = decode_whole
    distort: Callable = keep
    resize_eval: Callable = resize_whole


AUGMENTATIONS = {
    "none": Augmentation(),
    "cifar": Augmentation(distort=released_cifar),
    "cifar_standard": Augmentation(distort=crop_and_flip(4)),
    "imagenet": Augmentation(
        decode_random_crop, decode_center_crop, crop_and_flip(0), resize_center
    ),
}


def get(name, image_shape):
    """An augmentation by its name.

    Args:
        name: one of `AUGMENTATIONS`, or "auto": cifar for 32 x 32 colour images, imagenet for
            images larger than 64 pixels or of many sizes, else none.
        image_shape: `(height, width, channels)` of the stored images, None for differing sides.

    Returns:
        `Augmentation`.

    Raises:
        InputError: the name is not known, or colours are to be distorted where there are none.
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
        raise InputError(f"augmentation=cifar distorts colours, but there is {channels} channel.")
    return AUGMENTATIONS[name]


def shown_shape(stored_image_shape: tuple, image_size: int) -> tuple[int, int, int]:
    """What the network is shown.

    Args:
        stored_image_shape: `(height, width, channels)` of the stored images, None for differing
            sides.
        image_size: pixels a side; 0 for the images' own size, or 224 where that differs.

    Returns:
        `(height, width, channels)`.
    """
    height, width, channels = stored_image_shape
    if image_size or height is None:
        height = width = image_size or 224
    return height, width, channels


def for_evaluation(augmentation, stored_image_shape):
    """The augmentation to evaluate with: stored images of one size are shown whole.

    Args:
        augmentation: `Augmentation` of the run.
        stored_image_shape: `(height, width, channels)` of the stored images, None for differing
            sides.

    Returns:
        `Augmentation`, of which decode_eval and resize_eval count.
    """
    return augmentation if None in stored_image_shape else AUGMENTATIONS["none"]

"""Random distortion of colors, a part of the released code's augmentation."""

import tensorflow as tf

from mentormix_tf import randomness

__all__ = ["distort"]


def distort(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Distorts colors like the released code, with separate draws for each image.

    Brightness ± 32/255, then saturation x 0.5-1.5, hue ± 0.2 and contrast x 0.5-1.5; contrast
    comes either second or last, at random. The result is clipped to the valid range at the end.

    Args:
        images: `[batch, height, width, 3]`, float32, in [0, 255].
        seed: `[2]`, int32.

    Returns:
        Images of the same shape, dtype and range.
    """
    batch, height, width = tf.unstack(tf.shape(images)[:3])
    draws = tf.unstack(randomness.uniform([5, batch], seed)[:, :, None])
    brightness, saturation, hue, contrast, order = draws
    contrast, contrast_last = 0.5 + contrast, order < 0.5
    # A factor of 1 changes nothing: one pass through HSV then serves both orders.
    first = tf.where(contrast_last, 1.0, contrast)
    last = tf.where(contrast_last, contrast, 1.0)

    # One plane per channel, because operations on all pixels of a plane are vectorized.
    planes = tf.transpose(tf.reshape(images, [batch, height * width, 3]), [2, 0, 1])
    shift = (brightness * 2 - 1) * 32 / 255
    mean = tf.reduce_mean(planes, axis=2, keepdims=True) / 255.0 + shift
    planes = planes * (first / 255.0) + (mean * (1.0 - first) + shift * first)
    planes = _adjust_hue_and_saturation(planes, (hue * 2 - 1) * 0.2, 0.5 + saturation)
    mean = tf.reduce_mean(planes, axis=2, keepdims=True)
    planes = planes * (last * 255.0) + mean * ((1.0 - last) * 255.0)
    planes = tf.maximum(tf.minimum(planes, 255.0), 0.0)
    return tf.ensure_shape(
        tf.reshape(tf.transpose(planes, [1, 2, 0]), tf.shape(images)), images.shape
    )


def _adjust_hue_and_saturation(
    planes: tf.Tensor, hue: tf.Tensor, saturation: tf.Tensor
) -> tf.Tensor:
    """Turns the hue and scales the saturation, without selecting pixels, which takes longer.

    It computes what tf.image.rgb_to_hsv and hsv_to_rgb do, up to rounding.

    Args:
        planes: red, green and blue, `[3, batch, pixels]`, float32, 1 for full intensity.
        hue: turns to add, `[batch, 1]`.
        saturation: factors, `[batch, 1]`.

    Returns:
        Red, green and blue, of the same shape and dtype.
    """
    red, green, blue = tf.unstack(planes)
    # The hue in sixths of a turn is |turn + (middle - lowest) / chroma| if the channels are sorted
    # in two steps that exchange them where needed; an exchange of two channels changes `turn`.
    turn = -6.0 * tf.cast(green < blue, tf.float32)
    green, blue = tf.maximum(green, blue), tf.minimum(green, blue)
    turn -= 2.0 * (1.0 + turn) * tf.cast(red < green, tf.float32)
    value, green = tf.maximum(red, green), tf.minimum(red, green)
    chroma = value - tf.minimum(green, blue)
    sixths = tf.abs(turn + (green - blue) / (chroma + 1e-20)) + 6.0 * hue
    sixths -= 6.0 * tf.floor(sixths / 6.0)
    # Value times saturation; that is 0 for the negative values that a lower brightness leaves.
    chroma = tf.minimum(chroma * saturation, tf.maximum(value, 0.0))
    lacking = [2.0 - tf.abs(sixths - 3.0), tf.abs(sixths - 2.0) - 1.0, tf.abs(sixths - 4.0) - 1.0]
    return tf.stack([value - chroma * tf.maximum(tf.minimum(x, 1.0), 0.0) for x in lacking])

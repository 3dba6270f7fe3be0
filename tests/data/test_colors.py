"""Distortion of colors: compared with TensorFlow's own operations for each image."""

import numpy as np
import tensorflow as tf

from mentormix_tf import randomness
from mentormix_tf.data import colors

IMAGES = np.random.RandomState(0).randint(256, size=(200, 32, 32, 3)).astype(np.float32)


def test_colors_as_the_released_code_distorts_them():
    # No step may leave the valid range, where saturation and hue would lose their meaning.
    images = 90 + IMAGES * 0.3
    seed = tf.constant([1, 2])
    brightness, saturation, hue, contrast, order = randomness.uniform([5, 200], seed).numpy()
    distorted = colors.distort(tf.constant(images), seed).numpy()
    for i in range(200):
        image = tf.image.adjust_brightness(images[i] / 255, (brightness[i] * 2 - 1) * 32 / 255)
        if order[i] >= 0.5:
            image = tf.image.adjust_contrast(image, 0.5 + contrast[i])
        image = tf.image.adjust_saturation(image, 0.5 + saturation[i])
        image = tf.image.adjust_hue(image, (hue[i] * 2 - 1) * 0.2)
        if order[i] < 0.5:
            image = tf.image.adjust_contrast(image, 0.5 + contrast[i])
        np.testing.assert_allclose(distorted[i], np.clip(image, 0, 1) * 255, atol=0.05)
    assert 0.4 < np.mean(order < 0.5) < 0.6


def test_colors_beyond_the_valid_range_as_by_way_of_hsv():
    """Brightness and contrast leave the range; grey, black and white have no hue."""
    greys = np.broadcast_to(np.linspace(0, 255, 40)[:, None, None, None], (40, 32, 32, 3))
    images = np.concatenate([IMAGES, greys, IMAGES[:9] // 128 * 255]).astype(np.float32)
    seed = tf.constant([3, 4])
    draws = randomness.uniform([5, len(images)], seed)[:, :, None, None]
    brightness, saturation, hue, contrast, order = tf.unstack(draws)

    def scaled(rgb, where):
        mean = tf.reduce_mean(rgb, [1, 2], keepdims=True)
        factor = tf.where(where, 0.5 + contrast, 1.0)[..., None]
        return (rgb - mean) * factor + mean

    rgb = scaled(images / 255 + ((brightness * 2 - 1) * 32 / 255)[..., None], order >= 0.5)
    assert tf.reduce_min(rgb) < 0 and tf.reduce_max(rgb) > 1
    h, s, v = tf.unstack(tf.image.rgb_to_hsv(rgb), axis=-1)
    h = tf.math.floormod(h + (hue * 2 - 1) * 0.2, 1.0)
    s = tf.clip_by_value(s * (0.5 + saturation), 0.0, 1.0)
    rgb = scaled(tf.image.hsv_to_rgb(tf.stack([h, s, v], axis=-1)), order < 0.5)
    expected = tf.clip_by_value(rgb, 0.0, 1.0) * 255.0
    distorted = colors.distort(tf.constant(images), seed)
    np.testing.assert_allclose(distorted, expected, atol=2e-3)


def test_colors_stay_in_range():
    distorted = colors.distort(tf.constant(IMAGES), tf.constant([3, 4])).numpy()
    assert distorted.min() >= 0 and distorted.max() <= 255 and np.isfinite(distorted).all()

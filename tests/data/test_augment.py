"""Augmentation: compared with TensorFlow's own operations for each image, and its distributions."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import stats

from mentormix_tf import InputError
from mentormix_tf.data import augment, decoding

IMAGES = np.random.RandomState(0).randint(256, size=(200, 32, 32, 3)).astype(np.float32)


def encode(pixels, kind="png"):
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("padding", [0, 2, 4])
def test_crop_and_flip_are_crops_and_flips(padding):
    numbered = np.arange(1, 32 * 32 + 1, dtype=np.float32).reshape(32, 32, 1)
    batch = np.repeat(numbered[None], 400, axis=0)
    out = augment.crop_and_flip(padding)(tf.constant(batch), tf.constant([5, 6])).numpy()
    padded = np.pad(numbered, [[padding] * 2, [padding] * 2, [0, 0]])
    windows = {}
    for y in range(2 * padding + 1):
        for x in range(2 * padding + 1):
            crop = padded[y : y + 32, x : x + 32]
            windows[crop.tobytes()] = (y, x, False)
            windows[np.ascontiguousarray(crop[:, ::-1]).tobytes()] = (y, x, True)
    found = [windows[image.tobytes()] for image in out]  # KeyError: no such crop
    flips = sum(flip for _, _, flip in found)
    assert stats.binomtest(flips, 400).pvalue > 1e-3
    for axis in (0, 1):
        counts = np.bincount([place[axis] for place in found], minlength=2 * padding + 1)
        assert stats.chisquare(counts).pvalue > 1e-3 if padding else counts.tolist() == [400]


@pytest.mark.parametrize("name", ["cifar", "cifar_standard"])
def test_distortion_is_a_function_of_its_seed(name):
    distort = augment.AUGMENTATIONS[name].distort
    one, same, other = (
        distort(tf.constant(IMAGES), tf.constant(s)) for s in ([1, 1],) * 2 + ([1, 2],)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    assert one.shape == IMAGES.shape and one.dtype == tf.float32


@pytest.mark.parametrize("kind", ["png", "jpeg", "bmp", "gif"])
def test_whole_images_of_any_format(kind):
    pixels = np.random.RandomState(1).randint(256, size=(8, 12, 3))
    encoded = encode(pixels, kind)
    decoded = augment.decode_whole(encoded, (8, 12, 3))
    expected = tf.io.decode_image(encoded, 3, expand_animations=False)
    np.testing.assert_array_equal(decoded, tf.cast(expected, tf.float32))
    assert augment.decode_whole(encoded, (4, 4, 3)).shape == (4, 4, 3)


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_center_crop_is_the_middle(kind):
    pixels = np.zeros((80, 160, 3))
    pixels[5:75, 45:115] = 200  # the middle 87.5 % of the shorter side
    decoded = augment.decode_center_crop(encode(pixels, kind), (35, 35, 3)).numpy()
    assert decoded.min() > 190 if kind == "png" else decoded[2:-2, 2:-2].min() > 180
    assert augment.decode_center_crop(encode(np.ones((1, 1, 3))), (5, 5, 3)).shape == (5, 5, 3)


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_random_crops(kind):
    ramp = np.tile(np.linspace(0, 255, 120)[None, :, None], (90, 1, 3))
    encoded = encode(ramp, kind)
    crops = [augment.decode_random_crop(encoded, (8, 8, 3), [0, i]).numpy() for i in range(60)]
    assert all(crop.shape == (8, 8, 3) for crop in crops)
    widths = np.array([crop[:, -1].mean() - crop[:, 0].mean() for crop in crops])
    assert widths.min() < 120 and widths.max() > 180  # small and large windows
    again = augment.decode_random_crop(encoded, (8, 8, 3), [0, 3])
    np.testing.assert_array_equal(again, crops[3])


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ((32, 32, 3), "cifar"),
        ((8, 8, 1), "none"),
        ((28, 28, 1), "none"),
        ((84, 84, 3), "imagenet"),
        ((None, None, 3), "imagenet"),
    ],
)
def test_auto_goes_by_the_images(shape, name):
    assert augment.get("auto", shape) is augment.AUGMENTATIONS[name]


@pytest.mark.parametrize("kind", ["png", "jpeg", "bmp", "gif"])
def test_colors_become_gray(kind):
    pixels = np.tile([[[200, 50, 20]]], (8, 12, 1))
    gray, _ = decoding.stored(encode(pixels, kind), 1)
    assert gray.shape == (8, 12, 1) and gray.dtype == tf.uint8
    luminance = 0.299 * 200 + 0.587 * 50 + 0.114 * 20
    # TensorFlow's PNG decoder uses the luminance weights of other primaries.
    np.testing.assert_allclose(gray, luminance, atol=10 if kind == "png" else 2)


def test_decoding_is_reading_then_resizing():
    image = np.random.RandomState(2).randint(256, size=(40, 60, 3))
    for name, augmentation in augment.AUGMENTATIONS.items():
        decoded = augmentation.decode_eval(encode(image), (16, 16, 3))
        resized = augmentation.resize_eval(tf.constant(image, tf.uint8), (16, 16, 3))
        np.testing.assert_allclose(decoded, resized, atol=1e-4, err_msg=name)


def test_images_of_one_size_are_evaluated_whole():
    imagenet = augment.AUGMENTATIONS["imagenet"]
    assert augment.for_evaluation(imagenet, (None, None, 3)) is imagenet
    whole = augment.for_evaluation(imagenet, (84, 84, 3))
    assert (whole.decode_eval, whole.resize_eval) == (augment.decode_whole, augment.resize_whole)


def test_bad_names():
    with pytest.raises(InputError, match="augmentation=mixup is unknown: choose one of auto"):
        augment.get("mixup", (32, 32, 3))
    with pytest.raises(InputError, match="augmentation=cifar distorts colors"):
        augment.get("cifar", (8, 8, 1))

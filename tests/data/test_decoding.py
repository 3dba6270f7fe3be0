"""Images decoded as people see them, compared with Pillow: upright, and on white."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from mentormix_tf.data import augment, decoding, images
from tests.support.picture_files import encode, exif_block, jpeg_with, png_with

# Few large squares, which JPEG keeps nearly as they are; no side is like another.
PIXELS = np.random.RandomState(0).randint(256, size=(3, 5, 3)).repeat(16, 0).repeat(16, 1)
BOXES = [([0, 0], [16, 16]), ([5, 9], [20, 30]), ([1, 0], [3, 40])]
EXIF = b"Exif\0\0"


def turned_jpeg(orientation, order="<", pixels=PIXELS):
    return jpeg_with(pixels, (0xE1, EXIF + exif_block(orientation, order)))


def turned_png(orientation, order="<", pixels=PIXELS):
    return png_with(pixels, (b"eXIf", exif_block(orientation, order)))


def upright(encoded):
    """The image as Pillow shows it."""
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(encoded))).convert("RGB"))


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def color(encoded):
    return decoding.turn(*decoding.stored(encoded, 3))


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def gray(encoded):
    return decoding.turn(*decoding.stored(encoded, 1))


def assert_same(found, expected, atol=4):
    assert found.shape == expected.shape
    np.testing.assert_allclose(np.float32(found), np.float32(expected), atol=atol)


@pytest.mark.parametrize("make", [turned_jpeg, turned_png])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations(make, orientation):
    for order in "<>":
        encoded = make(orientation, order)
        assert_same(color(encoded), upright(encoded))
    assert_same(gray(encoded)[..., 0], upright(encoded) @ [0.299, 0.587, 0.114], atol=12)


@pytest.mark.parametrize("kind", ["webp", "tiff", "jpeg", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_of_files_that_pillow_converts_are_applied_once(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if kind == "webp" else {}
    encoded = encode(PIXELS, kind, exif=exif, **lossless)
    converted = images.as_png(encoded)
    assert_same(color(converted), upright(encoded))
    assert_same(color(images.storable(encoded, 10_000)), color(converted))


@pytest.mark.parametrize("name", ["none", "imagenet"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_training_and_evaluation_see_an_upright_image(name, orientation):
    how, shape = augment.AUGMENTATIONS[name], (18, 22, 3)
    jpeg, png = turned_jpeg(orientation), turned_png(orientation)
    for decode, seed in ((how.decode_eval, None), (how.decode_train, [1, orientation])):
        expected = decode(tf.io.encode_png(upright(png)).numpy(), shape, seed)
        assert_same(decode(png, shape, seed), expected, atol=0.01)
        expected = decode(tf.io.encode_png(upright(jpeg)).numpy(), shape, seed)
        found = decode(jpeg, shape, seed)  # the edges of a part of a JPEG are blurred
        assert found.shape == shape and np.abs(found - expected).mean() < 2


@pytest.mark.parametrize("begin, size", BOXES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_part_is_that_of_the_upright_image(orientation, begin, size):
    encoded = turned_png(orientation)
    shown = upright(encoded)
    part = decoding.turn(*decoding.stored_window(encoded, 3, lambda shape: (begin, size)))
    expected = shown[begin[0] : begin[0] + size[0], begin[1] : begin[1] + size[1]]
    np.testing.assert_array_equal(part, expected)
    part = decoding.turn(
        *decoding.stored_window(turned_jpeg(orientation), 3, lambda _: (begin, size))
    )
    assert np.abs(np.float32(part) - expected).mean() < 6


def test_in_a_data_set_and_in_batches():
    encoded = [make(value) for value in range(1, 9) for make in (turned_jpeg, turned_png)]
    data = tf.data.Dataset.from_tensor_slices(encoded)
    shown = data.map(lambda image: augment.decode_whole(image, (48, 48, 3)), tf.data.AUTOTUNE)
    mapped = tf.map_fn(
        lambda image: augment.decode_whole(image, (48, 48, 3)), tf.constant(encoded), tf.float32
    )
    np.testing.assert_array_equal(np.stack(list(shown.as_numpy_iterator())), mapped)


def transparent_files():
    draws = np.random.RandomState(1)
    pixels = draws.randint(256, size=(20, 30, 4)).astype(np.uint8)
    rgb, first = Image.fromarray(pixels[..., :3]), pixels[0, 0].tolist()
    palette = rgb.quantize(50)
    for image, options in [
        (Image.fromarray(pixels), {}),
        (Image.fromarray(pixels[..., 2:]), {}),  # gray and alpha
        (palette, {"transparency": bytes(range(0, 250, 5))}),
        (palette, {"transparency": 3}),
        (rgb, {"transparency": tuple(first[:3])}),
        (rgb.convert("L"), {"transparency": 100}),
        (rgb.convert("1"), {"transparency": 0}),
    ]:
        file = io.BytesIO()
        image.save(file, "png", **options)
        yield file.getvalue()


def on_white(encoded, mode):
    shown = Image.open(io.BytesIO(encoded)).convert("RGBA")
    white = Image.new("RGBA", shown.size, "white")
    white.alpha_composite(shown)
    return np.asarray(white.convert(mode))


def test_what_is_transparent_is_white():
    for encoded in transparent_files():
        assert_same(color(encoded), on_white(encoded, "RGB"), atol=1)
        assert_same(gray(encoded)[..., 0], on_white(encoded, "L"), atol=2)
        assert_same(color(images.as_png(encoded)), on_white(encoded, "RGB"), atol=1)
    hidden = np.zeros((4, 4, 4), np.uint8)
    hidden[..., 0] = 200  # a red that nobody sees
    for kind in ("png", "webp", "tiff"):
        options = {"lossless": True, "exact": True} if kind == "webp" else {}
        encoded = encode(hidden, kind, **options)
        assert np.min(color(images.storable(encoded, 100))) == 255, kind


def test_transparent_and_turned():
    file = io.BytesIO()
    pixels = np.random.RandomState(2).randint(256, size=(3, 5, 4)).astype(np.uint8)
    Image.fromarray(pixels).save(file, "png", exif=EXIF + exif_block(6))
    found = color(file.getvalue())
    expected = np.rot90(on_white(file.getvalue(), "RGB"), k=-1)
    assert_same(found, expected, atol=1)


def test_an_alpha_channel_may_be_asked_for():
    pixels = np.random.RandomState(3).randint(256, size=(5, 6, 4))
    np.testing.assert_array_equal(decoding.stored(encode(pixels), 4)[0], pixels)

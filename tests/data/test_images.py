"""Image files: which are read, what is stored of them, and why others are refused."""

import io
import logging
import os

import numpy as np
import pytest
from PIL import Image

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig
from mentormix_tf.data import images
from mentormix_tf.data.sources.base import SourceSplit
from mentormix_tf.data.sources.images_on_demand import ImagesOnDemand
from tests.support.picture_files import encode, exif_block, png_with

PIXELS = np.random.RandomState(0).randint(256, size=(20, 30, 3))


def refusal(function, *arguments):
    with pytest.raises(images.BadImage) as caught:
        function(*arguments)
    return str(caught.value)


def test_only_regular_files_are_read(tmp_path):
    (tmp_path / "good.png").write_bytes(b"content")
    (tmp_path / "link.png").symlink_to("good.png")
    assert images.read(tmp_path / "good.png", 100) == b"content"
    assert images.read(tmp_path / "link.png", 100) == b"content"
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "dangling.png").symlink_to("nowhere")
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "empty.png").touch()
    for name, why in {
        "pipe.png": "it is not a regular file",
        "zero.png": "it is not a regular file",
        ".": "it is a folder",
        "dangling.png": "No such file or directory",
        "loop.png": "Too many levels of symbolic links",
        "empty.png": "the file is empty",
        "x" * 300: "File name too long",
        "good.png/a": "Not a directory",
        "nul\0.png": "embedded null byte",
    }.items():
        assert refusal(images.read, tmp_path / name, 100) == why


def test_a_file_of_gigabytes_is_not_read(tmp_path):
    with open(tmp_path / "large.png", "wb") as file:
        file.truncate(2**35)
    why = refusal(images.read, tmp_path / "large.png", 1000)
    assert why.startswith("the file has 34,359,738,368 bytes, more than an image of max_image_")


@pytest.mark.parametrize("kind", ["jpeg", "png", "bmp", "gif", "webp", "tiff"])
def test_the_limit_is_inclusive(kind):
    encoded = encode(PIXELS, kind)
    assert images.num_pixels(encoded) == 600
    images.storable(encoded, 600)
    why = refusal(images.storable, encoded, 599)
    assert why == "it has 600 pixels, more than max_image_pixels=599"


def test_only_the_named_formats_are_opened(tmp_path, monkeypatch):
    """A program that is called gs would be found first."""
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    for encoded in (postscript, *(encode(PIXELS, kind) for kind in ("ppm", "ico", "tga", "pcx"))):
        for function in (images.num_pixels, images.as_png):
            assert refusal(function, encoded) == "not an image that can be read"
    assert not (tmp_path / "started").exists()


def test_what_is_stored():
    rgba = Image.fromarray(np.uint8(PIXELS)).convert("RGBA")
    file = io.BytesIO()
    rgba.save(file, "bmp")  # with a fourth byte
    for encoded, stays in [
        (encode(PIXELS, "jpeg"), True),
        (encode(PIXELS), True),
        (encode(PIXELS, "bmp"), True),
        (encode(PIXELS, "bmp", mode="P"), False),
        (file.getvalue(), False),
        (encode(PIXELS, "gif"), False),
        (encode(PIXELS, "webp"), False),
        (encode(PIXELS, "tiff"), False),
    ]:
        stored = images.storable(encoded, 600)
        assert (stored == encoded) == stays
        if not stays:
            opened = Image.open(io.BytesIO(stored))
            assert (opened.format, opened.mode, opened.size) == ("PNG", "RGB", (30, 20))
            assert "exif" not in opened.info
    gray = Image.open(io.BytesIO(images.as_png(encode(PIXELS[..., 0], "webp", mode="L"))))
    assert gray.mode == "RGB"  # WebP has no gray
    assert Image.open(io.BytesIO(images.as_png(encode(PIXELS[..., 0], "tiff")))).mode == "L"


def test_exif_of_old_imagemagick():
    """In a text of a PNG, where only Pillow finds it."""
    block = b"Exif\0\0" + exif_block(6)
    text = b"\nexif\n%8d\n%s\n" % (len(block), block.hex().encode())
    encoded = png_with(PIXELS, (b"tEXt", b"Raw profile type exif\0" + text))
    stored = np.asarray(Image.open(io.BytesIO(images.storable(encoded, 600))))
    np.testing.assert_array_equal(stored, np.rot90(PIXELS, k=-1))


@pytest.mark.parametrize("length", [0, 1, 6, 12, 15])
def test_damaged_exif_is_no_reason_to_refuse(length):
    encoded = encode(PIXELS, "webp", lossless=True, exif=b"Exif\0\0" + exif_block(6)[:length])
    stored = np.asarray(Image.open(io.BytesIO(images.storable(encoded, 600))))
    assert stored.shape == (20, 30, 3)


def test_a_first_frame_is_all_that_is_decoded():
    frames = [Image.fromarray(np.uint8(PIXELS)), Image.fromarray(np.uint8(255 - PIXELS))]
    for kind in ("gif", "webp", "tiff"):
        file = io.BytesIO()
        lossless = {"lossless": True} if kind == "webp" else {}
        frames[0].save(file, kind, save_all=True, append_images=frames[1:], **lossless)
        stored = np.asarray(Image.open(io.BytesIO(images.storable(file.getvalue(), 600))))
        assert np.abs(np.float32(stored) - PIXELS).mean() < 20, kind  # GIF has 256 colors


def split_of(*encoded):
    ids = [f"{i}.png" for i in range(len(encoded))]
    return SourceSplit(ids, np.zeros(len(encoded), int), ImagesOnDemand(encoded))


def test_a_check_says_which_image_is_bad_and_why(caplog):
    good, large, broken = encode(PIXELS), encode(np.zeros((30, 30))), encode(PIXELS)[:100]
    split = split_of(good, large, broken)
    message = (
        r"2 of 3 train images can't be decoded, the first is 1.png \(it has 900 pixels, more than "
        r"max_image_pixels=600\): remove them or pass --skip_bad_images to leave them out\.$"
    )
    with pytest.raises(InputError, match=message):
        images.check(split, "train", False, 600)
    with caplog.at_level(logging.WARNING):
        kept = images.check(split, "train", True, 600)
    assert kept.ids == ["0.png"] and list(kept.images) == [good]
    assert "Left out 2.png: it can't be decoded (the image can't be decoded: Inv" in caplog.text
    with pytest.raises(InputError, match="None of the 3 train images can be decoded"):
        images.check(split, "train", True, 5)


@pytest.mark.parametrize("limit", [0, -1, 178_956_971])
def test_bad_limits(limit):
    with pytest.raises(InputError, match=rf"max_image_pixels={limit} must lie in \[1, 178956970\]"):
        DataConfig(max_image_pixels=limit)


def test_pillow_and_the_limit_agree():
    """Pillow itself refuses what has more than twice its limit."""
    assert 2 * Image.MAX_IMAGE_PIXELS == 178_956_970


def test_small_pictures():
    pixels = PIXELS.astype(np.uint8)
    png = encode(pixels, "png")
    for given in (png, pixels):
        np.testing.assert_array_equal(images.shrunk(given, 32), pixels)
        assert images.shrunk(given, 15).shape == (15, 15, 3)
    blocks = np.kron(pixels[:4, :4], np.ones((5, 5, 1), np.uint8))
    np.testing.assert_array_equal(images.shrunk(blocks, 4), pixels[:4, :4])
    gray = images.shrunk(pixels[..., :1], 32)
    np.testing.assert_array_equal(gray, np.repeat(pixels[..., :1], 3, axis=-1))
    assert "not an image" in refusal(images.shrunk, b"text", 32)

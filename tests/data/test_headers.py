"""Headers of encoded images, compared with what Pillow reads; and damaged ones."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from mentormix_tf.data import headers
from tests.support.picture_files import encode, exif_block, jpeg_with, png_with

PIXELS = np.random.RandomState(0).randint(256, size=(6, 9, 3))
EXIF = b"Exif\0\0"
JFIF = (0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
XMP = (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta tiff:Orientation='3'/>")
PROFILE = (0xE2, b"ICC_PROFILE\0\1\1" + bytes(60_000))
THUMBNAIL = encode(PIXELS, "jpeg", exif=b"Exif\0\0" + exif_block(3))


def orientation(encoded):
    return int(headers.orientation(tf.constant(encoded)))


def pillows(encoded):
    """The orientation by which Pillow's `exif_transpose` turns: 1 for values without a meaning."""
    found = Image.open(io.BytesIO(encoded)).getexif().get(0x0112, 1)
    return found if found in range(1, 9) else 1


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", [*range(10), 256, 65535])
def test_every_value_in_both_byte_orders(value, order):
    block = exif_block(value, order)
    for encoded in (jpeg_with(PIXELS, (0xE1, EXIF + block)), png_with(PIXELS, (b"eXIf", block))):
        assert orientation(encoded) == pillows(encoded) == (value if 1 <= value <= 8 else 1)


@pytest.mark.parametrize(
    "segments",
    [
        [JFIF, (0xE1, EXIF + exif_block(6))],
        [JFIF, XMP, PROFILE, PROFILE, (0xE1, EXIF + exif_block(6))],
        [(0xE1, EXIF + exif_block(6)), XMP],
        [(0xED, b"Photoshop 3.0\0" + THUMBNAIL), (0xE1, EXIF + exif_block(6))],
        [(0xFE, b"a comment"), (0xEE, b"Adobe\0d\0\0\0\0\0"), (0xE1, EXIF + exif_block(6))],
        [(0xE1, EXIF + exif_block(6) + THUMBNAIL)],
        [(0xE1, EXIF + exif_block(6)), (0xE1, EXIF + exif_block(8))],  # the first counts
        *([(0xE1, EXIF + exif_block(6, count=n))] for n in (2, 100)),  # other entries around it
    ],
)
def test_exif_anywhere_before_the_pixels(segments):
    encoded = jpeg_with(PIXELS, *segments)
    assert orientation(encoded) == pillows(encoded) == 6
    assert not headers.is_plain(tf.constant(encoded))


@pytest.mark.parametrize("after", [False, True])
def test_chunks_of_a_png_before_and_after_its_pixels(after):
    encoded = png_with(PIXELS, (b"tEXt", b"a\0" + THUMBNAIL), (b"eXIf", exif_block(8)), after=after)
    assert orientation(encoded) == pillows(encoded) == 8


def test_pixels_and_thumbnails_are_no_header():
    block = EXIF + exif_block(6)
    for encoded in (
        jpeg_with(PIXELS) + block,
        jpeg_with(PIXELS, (0xED, b"Photoshop 3.0\0" + THUMBNAIL)),
        jpeg_with(PIXELS, (0xE2, b"MPF\0\xff\xe1" + block)),
        jpeg_with(PIXELS, (0xFE, b"\xff\xe1\0\x20" + block)),
        png_with(PIXELS, (b"tEXt", b"a\0eXIf" + exif_block(6))),
        encode(PIXELS, "bmp") + block,
        encode(PIXELS, "gif") + b"eXIf" + exif_block(6),
    ):
        assert orientation(encoded) == 1


def damaged_blocks():
    good = exif_block(6)
    yield from (good[:n] for n in range(len(good)))
    for order in "<>":
        for offset in (0, 1, 7, 9, 25, 26, 1000, 2**31 - 1, 2**31, 2**32 - 1):
            yield good[:4] + struct.pack("<I", offset) + good[8:]
            yield exif_block(6, order)[:4] + struct.pack(order + "I", offset)
        for kind, count in ((3, 0), (3, 2), (3, 2**32 - 1), (0, 1), (2, 1), (5, 1), (65535, 1)):
            yield exif_block(6, order, kind=kind, length=count)
    yield b"II*\0\x08\0\0\0\xff\xff" + good[10:12]  # 65535 entries, none of which is there
    yield b"XX" + good[2:]
    yield b"II+\0" + good[4:]


def test_damaged_blocks_leave_images_as_they_are():
    blocks = list(damaged_blocks())
    assert len(blocks) > 80
    for block in blocks:
        encoded = [jpeg_with(PIXELS, (0xE1, EXIF + block)), png_with(PIXELS, (b"eXIf", block))]
        # The value's unused half may be missing.
        assert [orientation(e) for e in encoded] in ([1, 1], [6, 6]), block
        assert orientation(encoded[0]) == 1 or block.startswith(exif_block(6)[:20])


def test_random_damage_raises_nothing():
    draws = np.random.RandomState(1)
    whole = [
        jpeg_with(PIXELS, JFIF, XMP, (0xE1, EXIF + exif_block(6)))[:300],
        png_with(PIXELS, (b"eXIf", exif_block(6)), after=True),
    ]
    for i in range(300):
        damaged = bytearray(whole[i % 2][: draws.randint(1, 300)])
        for _ in range(draws.randint(4)):
            damaged[draws.randint(len(damaged))] = draws.randint(256)
        encoded = tf.constant(bytes(damaged))
        assert 1 <= int(headers.orientation(encoded)) <= 8
        headers.is_plain(encoded)


def test_a_hostile_file_takes_bounded_time():
    segments = b"\xff\xd8\xff" + b"\xff\xe0\0\2" * 500_000
    chunks = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0aaaa\0\0\0\0" * 200_000 + b"eXIf"
    padding = b"\xff\xd8" + b"\xff" * 2_000_000
    assert [orientation(e) for e in (segments, chunks, padding)] == [1, 1, 1]


def test_most_images_are_plain():
    gray = PIXELS[..., 0]
    for encoded, plain in [
        (encode(PIXELS, "jpeg"), True),
        (encode(PIXELS), True),
        (tf.io.encode_png(np.uint8(PIXELS)).numpy(), True),
        (encode(PIXELS, "bmp"), True),
        (encode(PIXELS, "gif"), True),
        (b"", True),
        (encode(PIXELS, mode="RGBA"), False),
        (encode(gray, mode="LA"), False),
        (encode(gray, transparency=3), False),
        (png_with(PIXELS, (b"eXIf", exif_block(6)), after=True), False),
        (jpeg_with(PIXELS, (0xE1, EXIF + exif_block(6))), False),
        (jpeg_with(PIXELS, JFIF, (0xE1, EXIF + exif_block(6))), False),
    ]:
        assert bool(headers.is_plain(tf.constant(encoded))) == plain, encoded[:60]


@pytest.mark.parametrize("kind", ["jpeg", "png", "bmp", "gif"])
def test_pixels_are_counted(kind):
    assert int(headers.num_pixels(tf.constant(encode(PIXELS, kind)))) == 54
    wide = encode(np.zeros((1, 65_000)), kind)
    assert int(headers.num_pixels(tf.constant(wide))) == 65_000


def test_claimed_pixels_are_counted_without_overflow():
    def count(encoded):
        return int(headers.num_pixels(tf.constant(encoded)))

    png = encode(PIXELS)
    assert count(png[:16] + struct.pack(">II", 2**31 - 1, 2**31 - 1)) == (2**31 - 1) ** 2
    bmp = encode(PIXELS, "bmp")
    assert count(bmp[:18] + struct.pack("<ii", 40_000, -40_000) + bmp[26:]) == 40_000**2
    assert count(b"hello") == count(b"") == 0


def test_pillow_turns_as_the_standard_says():
    """The independent side of these tests, on an arrow that points up when it is upright."""
    corner = np.zeros((2, 3, 3), np.uint8)
    corner[0, 0] = 255
    for value, (row, column) in zip(
        range(1, 9), [(0, 0), (0, 2), (1, 2), (1, 0), (0, 0), (0, 1), (2, 1), (2, 0)], strict=True
    ):
        encoded = png_with(corner, (b"eXIf", exif_block(value)))
        shown = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(encoded))))
        assert shown[row, column].tolist() == [255] * 3

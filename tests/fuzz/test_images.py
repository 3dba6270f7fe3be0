"""Image files that are hostile, damaged or none, given to predict and prepare."""

import io
import itertools
import os
import shutil
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.fuzz import bounded
from tests.support import commands
from tests.support.picture_files import encode, exif_block, jpeg_with, png_with

GIGABYTES = 2.5
PIXELS = np.random.RandomState(0).randint(256, size=(20, 30, 3))


def webp_bomb(side=13_000):
    """34 bytes that claim to be a large image of one color."""
    bits = 0x2F | (side - 1) << 8 | (side - 1) << 22
    data = struct.pack("<Q", bits)[:5] + bytes([0x88, 0x88, 8, 0, 0, 0, 0, 0, 0])
    body = b"WEBPVP8L" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def png_bomb(side=30_000, bit_depth=1):
    def chunk(name, data):
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    header = struct.pack(">IIBBBBB", side, side, bit_depth, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side * bit_depth // 8 + 1) * 1000), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def gif_bomb(frames=300, side=4000):
    """Few bytes for each frame, of which only the first is shown."""
    one = saved(Image.new("P", (side, side)), "gif")
    start = one.index(b",", 13)
    return one[:start] + one[start:-1] * frames + b";"


def bombs():
    large = Image.new("1", (9000, 9000))
    yield "bomb.webp", webp_bomb()
    yield "widest.webp", webp_bomb(16_383)
    yield "bomb.png", png_bomb()
    yield "deep.png", png_bomb(60_000, 16)
    yield "bomb.tiff", saved(large, "tiff", compression="group4")
    yield "bomb.bmp", saved(large, "bmp")
    yield "bomb.gif", saved(Image.new("P", (9000, 9000)), "gif")
    yield "large.jpg", saved(Image.new("L", (9000, 9000)), "jpeg")
    jpeg = encode(PIXELS, "jpeg")
    place = jpeg.index(b"\xff\xc0") + 5
    yield "claims.jpg", jpeg[:place] + b"\xff\xff\xff\xff" + jpeg[place + 4 :]
    bmp = encode(PIXELS, "bmp")
    for i, sides in enumerate([(2**31 - 1, 2**31 - 1), (-1, -1), (0, 5), (-(2**31), 1)]):
        yield f"{i}.bmp", bmp[:18] + struct.pack("<ii", *sides) + bmp[26:]


def foreign():
    """What Pillow could open, or what runs a program."""
    ghostscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    for name in ("photo.jpg", "photo.png", "photo.eps"):
        yield name, ghostscript
    for kind in ("ppm", "pcx", "tga", "ico", "icns", "jpeg2000", "sgi", "dds", "eps"):
        yield f"foreign.{kind}", saved(Image.fromarray(np.uint8(PIXELS)), kind)
    yield "vector.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    yield "paper.pdf", b"%PDF-1.4\n"


def damaged():
    exif = jpeg_with(PIXELS, (0xE1, b"Exif\0\0" + exif_block(6)))
    whole = {
        "jpg": exif,
        "png": png_with(PIXELS, (b"eXIf", exif_block(6))),
        "gif": encode(PIXELS, "gif"),
        "bmp": encode(PIXELS, "bmp"),
        "webp": encode(PIXELS, "webp", exif=b"Exif\0\0" + exif_block(6)[:12]),
        "tiff": encode(PIXELS, "tiff"),
    }
    draws = np.random.RandomState(1)
    for kind, encoded in whole.items():
        for n in (1, 2, 3, 4, 8, 12, 20, 24, 25, 26, 30, 40, len(encoded) // 2, len(encoded) - 1):
            yield f"cut{n}.{kind}", encoded[:n]
        for i in range(12):
            wrong = bytearray(encoded)
            for place in draws.randint(min(len(wrong), 100 if i % 2 else 10**6), size=1 + i // 3):
                wrong[place] = draws.randint(256)
            yield f"wrong{i}.{kind}", bytes(wrong)
        yield f"tail.{kind}", encoded + bytes(1000)
    yield "empty.png", b""
    yield "zeros.png", bytes(1000)
    yield "text.png", b"hello"


def unusual():
    """Good images that are seldom seen."""
    rgb = Image.fromarray(np.uint8(PIXELS))
    yield "cmyk.jpg", saved(rgb.convert("CMYK"), "jpeg")
    yield "cmyk.tiff", saved(rgb.convert("CMYK"), "tiff")
    yield "16_bit.png", tf.io.encode_png(PIXELS.astype(np.uint16) * 257).numpy()
    yield "two_frames.png", saved(rgb, "png", save_all=True, append_images=[rgb.rotate(180)])
    yield "two_frames.webp", saved(rgb, "webp", save_all=True, append_images=[rgb.rotate(180)])
    yield "two_frames.gif", saved(rgb, "gif", save_all=True, append_images=[rgb.rotate(180)])
    yield "two_pages.tiff", saved(rgb, "tiff", save_all=True, append_images=[rgb.rotate(180)])
    yield "two_pictures.jpg", saved(rgb, "mpo", save_all=True, append_images=[rgb.rotate(180)])
    yield "progressive.jpg", saved(rgb, "jpeg", progressive=True)
    yield "profile.jpg", saved(rgb, "jpeg", icc_profile=bytes(200_000))
    yield "gamma.png", png_with(PIXELS, (b"gAMA", struct.pack(">I", 45_455)))
    yield "one.png", encode(PIXELS[:1, :1])
    yield "wide.png", encode(np.zeros((1, 65_535)))
    yield "high.jpg", encode(np.zeros((65_000, 1)), "jpeg")
    yield "alpha.bmp", saved(rgb.convert("RGBA"), "bmp")
    yield "palette.png", saved(rgb.convert("P"), "png")
    yield "black_and_white.tiff", saved(rgb.convert("1"), "tiff")
    yield "frames.gif", gif_bomb()


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for name, content in files:
        (folder / name).write_bytes(content)
        names.append(name)
    return names


def write_special(folder):
    """Names of what is no image file, whatever its name."""
    os.mkfifo(folder / "pipe.png")
    (folder / "link.png").symlink_to("nowhere")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "folder.png").mkdir()
    with open(folder / "gigabytes.png", "wb") as file:
        file.truncate(2**36)  # without blocks
    return ["pipe.png", "link.png", "zero.png", "gigabytes.png"]


def rows(run, folder, *more):
    """The rows of predict, by the file's name: its class and its reason."""
    words = ["predict", f"--model_dir={run.path}", "--format=csv", *more, folder]
    ((status, output, error),) = commands.run(words, cwd=folder, seconds=100, gigabytes=GIGABYTES)
    assert status == 0 and "Traceback" not in error, error
    lines = [line.split(",", 3) for line in output.strip().split("\n")[1:]]
    return {os.path.basename(line[0]): (line[1], line[3]) for line in lines}


@pytest.mark.slow
def test_bombs_and_what_is_no_file_cost_no_other_row(photos_run, tmp_path):
    bad = write(tmp_path / "bad", [*bombs(), *foreign()])
    bad += write_special(tmp_path / "bad")
    good = write(tmp_path / "bad", unusual())
    odd = os.fsdecode(b"caf\xe9.png")  # not UTF-8
    (tmp_path / "bad" / odd).write_bytes(encode(PIXELS))
    found = rows(photos_run, tmp_path / "bad")
    assert {name: found[name][1] for name in good} == dict.fromkeys(good, "")
    assert all(found[name][0] == "" and found[name][1] for name in bad), found
    assert "81,000,000 pixels, more than max_image_pixels=50000000" in found["large.jpg"][1]
    assert "not a regular file" in found["zero.png"][1] + found["pipe.png"][1]
    assert len(found) == len(bad) + len(good) + 1


@pytest.mark.slow
def test_damaged_files(photos_run, tmp_path):
    names = write(tmp_path / "damaged", damaged())
    (tmp_path / "damaged" / "good.png").write_bytes(encode(PIXELS))
    found = rows(photos_run, tmp_path / "damaged")
    assert found["good.png"][1] == "" and len(found) == len(names) + 1 > 150
    assert all(bool(label) != bool(reason) for label, reason in found.values())
    assert sum(bool(reason) for _, reason in found.values()) > 50


@pytest.mark.slow
def test_eight_large_images_take_no_more_memory_than_one(photos_run, tmp_path):
    write(tmp_path / "large", ((f"{i}.webp", webp_bomb(7000)) for i in range(8)))
    found = rows(photos_run, tmp_path / "large")
    assert {why for _, why in found.values()} == {""} and len(found) == 8


@pytest.mark.slow
def test_preparing_a_folder_of_them(tmp_path):
    for name in ("cat", "dog"):
        write(tmp_path / "set" / name, [*bombs(), *foreign(), *damaged(), *unusual()])
    prepare = ["prepare", "--dataset=folder:set", "--data_dir=data"]
    clean = shutil.copytree(tmp_path / "set", tmp_path / "clean")
    for path in clean.rglob("*.*"):
        if path.name not in {name for name, _ in unusual()}:
            path.unlink()
    given = [
        [*prepare, "--skip_bad_images"],
        prepare,
        ["prepare", "--dataset=folder:clean", "--data_dir=data"],
        ["prepare", "--dataset=folder:clean", "--data_dir=other", "--max_image_pixels=700"],
        *([*prepare, f"--max_image_pixels={n}"] for n in (0, -1, 10**9, "many")),
    ]
    assert not bounded.faults(*given, cwd=tmp_path, seconds=110, gigabytes=GIGABYTES)
    statuses = [status for status, _, _ in commands.run(*given[:4], cwd=tmp_path)]
    assert statuses == [0, 0, 0, 1]  # the second finds what the first has made


TRAIN = ["train", "--train_steps=2", "--eval_every=2", "--batch_size=16"]
SIZES = (1, 2, 16_384, 16_385, 1_000_000, 2**32, -1, "large")


@pytest.mark.slow
def test_sizes_of_images(tmp_path):
    networks = ("small_cnn", "mobilenet_v2")
    chosen = itertools.product(SIZES, networks, ("none", "imagenet"))
    given = [
        [
            *TRAIN,
            f"--image_size={size}",
            f"--network={network}",
            f"--augmentation={augmentation}",
            f"--model_dir=run{i}",
        ]
        for i, (size, network, augmentation) in enumerate(chosen)
    ]
    assert not bounded.faults(*given, cwd=tmp_path, gigabytes=GIGABYTES)
    ((status, _, _),) = commands.run([*TRAIN, "--image_size=4", "--model_dir=run"], cwd=tmp_path)
    assert status == 0

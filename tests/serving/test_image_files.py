"""Files as users have them: each gets a class, or a reason, and the same class as in evaluation."""

import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mentormix_tf.serving import classifier, image_files
from tests.support.picture_files import encode

PIXELS = np.random.RandomState(0).randint(256, size=(30, 40, 3))
BROKEN = "can't be decoded"
NOT_AN_IMAGE = "not an image that can be read"


@pytest.fixture
def folder(tmp_path):
    """A folder with all that may lie among images."""
    jpeg = encode(PIXELS, "jpeg")
    frames = [Image.fromarray(np.uint8(PIXELS)), Image.fromarray(np.uint8(255 - PIXELS))]
    frames[0].save(tmp_path / "animated.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "sub").mkdir()
    for name, content in {
        "16_bit.png": tf.io.encode_png(PIXELS.astype(np.uint16) * 257).numpy(),
        "1x1.png": encode(PIXELS[:1, :1]),
        "alpha.png": encode(PIXELS, mode="RGBA"),
        "broken.jpg": jpeg[:300],
        "cmyk.jpg": encode(PIXELS, "jpeg", mode="CMYK"),
        "empty.png": b"",
        "half.jpg": jpeg[: len(jpeg) // 2],
        "half.png": encode(PIXELS)[:1000],
        "notes.txt": b"hello",
        "palette.bmp": encode(PIXELS, "bmp", mode="P"),
        "sub/photo.jpg": jpeg,
        "webp.webp": encode(PIXELS, "webp", lossless=True),
        ".hidden": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "16_bit.tiff").write_bytes(b"")
    Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257).save(tmp_path / "16_bit.tiff")
    return tmp_path


@pytest.mark.parametrize("made", ["digits_run", "photos_run"])
def test_each_file_has_a_class_or_a_reason(made, folder, request):
    made = request.getfixturevalue(made)
    classify = classifier.of_run(made.run, made.trained)
    rows = image_files.find([str(folder)])
    found = list(image_files.classify(rows, classify, top_k=2, batch_size=4))
    reasons = {os.path.relpath(row.image, folder): row.reason for row in found}
    assert reasons.pop("16_bit.tiff").endswith("instead of 8 bits")
    assert BROKEN in reasons.pop("half.png") and BROKEN in reasons.pop("half.jpg")
    assert BROKEN in reasons.pop("broken.jpg")
    assert reasons.pop("empty.png") == "the file is empty"
    assert reasons.pop("notes.txt") == NOT_AN_IMAGE
    good = ["16_bit.png", "1x1.png", "alpha.png", "animated.gif", "cmyk.jpg", "palette.bmp"]
    assert reasons == dict.fromkeys([*good, "sub/photo.jpg", "webp.webp"])
    for row in found:
        if row.reason is None:
            (first, high), (second, low) = row.top
            assert first in made.run.class_names and second in made.run.class_names
            assert first != second and 1 >= high >= low >= 0
        else:
            assert row.top == ()


def test_files_are_classified_as_in_evaluation(photos_run, photos):
    """However they are decoded: all colors of one class are far from the other's."""
    classify = classifier.of_run(photos_run.run, photos_run.trained)
    paths = sorted(str(path) for path in photos.rglob("*.*"))
    rows = list(image_files.classify(image_files.find(paths), classify, top_k=2))
    assert [row.image for row in rows] == paths
    encoded = tf.constant([pathlib.Path(path).read_bytes() for path in paths])
    scores = classify.classify_encoded(encoded)["scores"].numpy()
    for row, expected in zip(rows, scores, strict=True):
        assert row.top[0][0] == photos_run.run.class_names[expected.argmax()]
        np.testing.assert_allclose([p for _, p in row.top], sorted(expected)[::-1], atol=1e-5)


def test_colors_survive_pillow(photos_run):
    """WebP and palettes, which Pillow decodes, look as PNG does."""
    classify = classifier.of_run(photos_run.run, photos_run.trained)
    few = np.repeat(np.repeat(np.array([[[255, 0, 0], [0, 0, 255]]]), 20, 0), 20, 1)
    for kind, options in [("webp", {"lossless": True}), ("bmp", {"mode": "P"}), ("tiff", {})]:
        image = image_files.images.storable(encode(few, kind, **options), 1000)
        np.testing.assert_allclose(
            classify.decode(image), classify.decode(encode(few)), atol=1, err_msg=kind
        )


def test_names(folder):
    def found(*names):
        return [(row.image, row.reason) for row in image_files.find(names)]

    (folder / "none").mkdir()
    assert found(str(folder / "*.jpg")) == [
        (str(folder / name), None) for name in ("broken.jpg", "cmyk.jpg", "half.jpg")
    ]
    assert found(str(folder / "sub")) == [(str(folder / "sub" / "photo.jpg"), None)]
    assert found(str(folder / "*.xyz")) == [(str(folder / "*.xyz"), "no file matches")]
    assert found(str(folder / "none")) == [(str(folder / "none"), "the folder has no files")]
    (folder / "odd[1].png").write_bytes(encode(PIXELS))
    assert found(str(folder / "odd[1].png")) == [(str(folder / "odd[1].png"), None)]


def test_a_file_that_is_missing_has_a_reason(digits_run):
    classify = classifier.of_run(digits_run.run, digits_run.trained)
    [row] = image_files.classify(image_files.find(["missing.png"]), classify)
    assert (row.image, row.reason) == ("missing.png", "No such file or directory")

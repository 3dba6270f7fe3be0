"""Folders and CSV files of the user's own images: what is read, and what is rejected."""

import io

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig
from mentormix_tf.data import splits


def image(seed, kind="png", size=(9, 7)):
    file = io.BytesIO()
    pixels = np.random.RandomState(seed).randint(256, size=(*size, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def write(root, names, start=0, kinds=("png", "jpeg", "bmp", "webp")):
    """Writes five images of each class, in several formats and sizes."""
    for i, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for j in range(5):
            kind = kinds[j % len(kinds)]
            suffix = {"jpeg": "JPG"}.get(kind, kind)
            content = image(start + 10 * i + j, kind, (9 + j, 7))
            (root / name / f"{j}.{suffix}").write_bytes(content)


def prepare(dataset, tmp_path, **settings):
    skip = settings.pop("skip_bad_images", False)
    config = DataConfig(dataset=dataset, data_dir=str(tmp_path / "data"), **settings)
    return splits.prepare(config, skip)


def stored(made, split):
    decoders = {"image": tfds.decode.SkipDecoding()}
    rows = made.builder.as_dataset(split=split, decoders=decoders).as_numpy_iterator()
    return {row["id"].decode(): row for row in rows}


def test_folder_of_classes(tmp_path):
    write(tmp_path / "pets", ["cat", "dog", "ant"])
    (tmp_path / "pets" / "notes.txt").write_text("not an image")
    made = prepare(f"folder:{tmp_path}/pets", tmp_path)
    assert made.class_names == ["ant", "cat", "dog"]
    train, test = stored(made, "train"), stored(made, "test")
    assert len(train) == 12 and len(test) == 3  # a fifth, one of each class
    assert sorted(row["label"] for row in test.values()) == [0, 1, 2]
    assert not set(train) & set(test)
    for identifier, row in {**train, **test}.items():
        assert identifier.split("/")[0] == made.class_names[row["label"]]
        original = (tmp_path / "pets" / identifier).read_bytes()
        if identifier.endswith("webp"):  # TensorFlow can't decode it, so it is stored as PNG
            assert np.array_equal(pixels(row["image"]), pixels(original))
        else:
            assert row["image"] == original
    assert made.manifest["noise"] == "none" and made.manifest["realized_noise_rate"] is None
    assert all((row["true_label"], row["is_clean"]) == (-1, -1) for row in train.values())


def pixels(encoded):
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))


@pytest.mark.parametrize("name", ["val", "test", "validation"])
def test_folder_with_a_test_folder(tmp_path, name):
    write(tmp_path / "pets" / "train", ["cat", "dog"])
    write(tmp_path / "pets" / name, ["cat"], start=50)
    made = prepare(f"folder:{tmp_path}/pets", tmp_path)
    assert (made.num_examples("train"), made.num_examples("test")) == (10, 5)
    assert set(stored(made, "test")) == {
        f"{name}/cat/{p}" for p in ("0.png", "1.JPG", "2.bmp", "3.webp", "4.png")
    }


def test_changed_folder_is_another_split(tmp_path):
    write(tmp_path / "pets", ["cat", "dog"])
    one = prepare(f"folder:{tmp_path}/pets", tmp_path)
    (tmp_path / "pets" / "cat" / "new.png").write_bytes(image(99))
    other = prepare(f"folder:{tmp_path}/pets", tmp_path)
    assert one.path != other.path
    assert other.num_examples("train") + other.num_examples("test") == 11


def test_an_image_changed_in_place_is_noticed(tmp_path):
    write(tmp_path / "pets", ["cat", "dog"], kinds=["bmp"])
    one = prepare(f"folder:{tmp_path}/pets", tmp_path)
    path = tmp_path / "pets" / "cat" / "0.bmp"
    path.write_bytes(path.read_bytes()[:-1] + b"x")  # of the same size
    assert prepare(f"folder:{tmp_path}/pets", tmp_path).path != one.path


def test_a_class_with_one_image_keeps_it_for_training(tmp_path):
    write(tmp_path / "pets", ["cat", "dog"])
    (tmp_path / "pets" / "eel").mkdir()
    (tmp_path / "pets" / "eel" / "0.png").write_bytes(image(0))
    made = prepare(f"folder:{tmp_path}/pets", tmp_path)
    assert [row["label"] for row in stored(made, "train").values()].count(2) == 1
    assert sorted(row["label"] for row in stored(made, "test").values()) == [0, 1]


def test_a_class_none_of_whose_images_can_be_decoded(tmp_path):
    write(tmp_path / "pets", ["cat", "dog"])
    for path in (tmp_path / "pets" / "dog").iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match="of class dog can be decoded"):
        prepare(f"folder:{tmp_path}/pets", tmp_path, skip_bad_images=True)


def test_synthetic_noise_on_a_folder(tmp_path):
    write(tmp_path / "pets", ["cat", "dog"])
    made = prepare(f"folder:{tmp_path}/pets", tmp_path, noise="symmetric", noise_level=0.5)
    flipped = [
        row["id"]
        for row in stored(made, "train").values()
        if made.class_names[row["label"]] != row["id"].decode().split("/")[0]
    ]
    assert len(flipped) == 4  # half of eight


def write_csv(tmp_path, text):
    write(tmp_path / "images", ["a"])
    write(tmp_path / "images2", ["b"], start=30)
    (tmp_path / "labels.csv").write_text(text)
    return f"csv:{tmp_path}/labels.csv"


ROWS = (
    "".join(
        f"images/a/{name},{label},{true}\n"
        for name, label, true in [
            ("0.png", "10", "10"),
            ("1.JPG", "9", "10"),
            ("2.bmp", "10", ""),
            ("3.webp", "9", "9"),
            ("4.png", "9", "9"),
        ]
    )
    + "images2/b/0.png,9,9\nimages2/b/1.JPG,10,10\n"
)


def test_csv(tmp_path):
    made = prepare(write_csv(tmp_path, "path,label,true_label\n" + ROWS), tmp_path)
    assert made.class_names == ["9", "10"]  # in numeric order
    rows = {**stored(made, "train"), **stored(made, "test")}
    assert len(rows) == 7
    wrong = rows["images/a/1.JPG"]
    assert wrong["label"] == 0
    if "images/a/1.JPG" in stored(made, "train"):
        assert (wrong["true_label"], wrong["is_clean"]) == (1, 0)


def test_csv_with_splits(tmp_path):
    text = (
        "path,label,split\nimages/a/0.png,x,train\nimages/a/1.JPG,y,train\nimages/a/4.png,y,val\n"
    )
    made = prepare(write_csv(tmp_path, text), tmp_path)
    assert set(stored(made, "test")) == {"images/a/4.png"} and made.class_names == ["x", "y"]


def test_bad_images_are_named_counted_and_left_out_on_request(tmp_path, caplog):
    write(tmp_path / "pets", ["cat", "dog"])
    (tmp_path / "pets" / "cat" / "broken.jpg").write_bytes(image(1, "jpeg")[:50])
    (tmp_path / "pets" / "dog" / "empty.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"1 of \d+ \w+ images can't be decoded|2 of \d+"):
        prepare(f"folder:{tmp_path}/pets", tmp_path)
    made = prepare(f"folder:{tmp_path}/pets", tmp_path, skip_bad_images=True)
    assert made.num_examples("train") + made.num_examples("test") == 10
    assert "Left out cat/broken.jpg" in caplog.text and "Left out dog/empty.png" in caplog.text


class TestBadInput:
    def test_no_such_folder(self, tmp_path):
        with pytest.raises(InputError, match="gone is not a folder"):
            prepare(f"folder:{tmp_path}/gone", tmp_path)

    def test_folder_without_classes(self, tmp_path):
        (tmp_path / "pets").mkdir()
        (tmp_path / "pets" / "cat.png").write_bytes(image(0))
        with pytest.raises(InputError, match="pets has no folders: it needs one for each class"):
            prepare(f"folder:{tmp_path}/pets", tmp_path)

    def test_class_without_images(self, tmp_path):
        write(tmp_path / "pets", ["cat", "dog"])
        (tmp_path / "pets" / "eel").mkdir()
        with pytest.raises(InputError, match="eel has no images"):
            prepare(f"folder:{tmp_path}/pets", tmp_path)

    def test_test_class_without_training_images(self, tmp_path):
        write(tmp_path / "pets" / "train", ["cat", "dog"])
        write(tmp_path / "pets" / "val", ["eel"])
        with pytest.raises(InputError, match="has the class eel"):
            prepare(f"folder:{tmp_path}/pets", tmp_path)

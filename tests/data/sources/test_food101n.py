"""Food-101N and the test images of Food-101, read from tiny ones in the official layouts."""

import numpy as np
import pytest

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig
from mentormix_tf.data import splits, verify
from mentormix_tf.data.sources import food101n
from tests.support import official_layouts
from tests.support.corrected import by_id


@pytest.fixture
def manual(tmp_path):
    return official_layouts.write_food101n(tmp_path)


def checked(manual, part):
    lines = (manual / f"Food-101N_release/meta/verified_{part}.tsv").read_text().splitlines()[1:]
    return {name: int(right) for name, right in (line.split("\t") for line in lines)}


def test_food101n(tmp_path, manual, caplog):
    made = splits.prepare(DataConfig(dataset="food101n", data_dir=str(tmp_path)))
    assert verify.examine(made.builder, made.manifest).problems == []
    train, test = by_id(made), by_id(made, "test")
    listed = (manual / "Food-101N_release/meta/imagelist.tsv").read_text().split()[1:]
    assert set(train) == set(listed) and len(train) == 48 and len(test) == 8
    classes = made.class_names
    assert len(classes) == 101 and classes[0] == "apple_pie"
    verified, others = checked(manual, "train"), checked(manual, "val")
    assert len(verified) == 17 and not set(verified) & set(others)
    for name, row in train.items():
        assert classes[row["label"]] == name.split("/")[0]
        assert row["verified"] == verified.get(name, -1)
        assert row["is_clean"] == verified.get(name, others.get(name, -1))
        assert row["true_label"] == (row["label"] if row["is_clean"] == 1 else -1)
        image = official_layouts.decoded(manual / "Food-101N_release/images" / name)
        np.testing.assert_array_equal(row["image"], image)
    for name, row in test.items():
        assert classes[row["label"]] == name.split("/")[0]
        assert (row["is_clean"], row["verified"]) == (1, -1)
        image = official_layouts.decoded(manual / "food-101/images" / f"{name}.jpg")
        np.testing.assert_array_equal(row["image"], image)
    assert made.manifest["num_verified"] == 16
    assert made.manifest["realized_noise_rate"] == pytest.approx(6 / 24)
    assert "Ignored 1 of 17 lines" in caplog.text and f"list: {classes[100]}/" in caplog.text


def test_classes_are_numbered_as_in_the_file(tmp_path, manual):
    path = manual / "Food-101N_release/meta/classes.txt"
    _, *names = path.read_text().split()
    path.write_text("\n".join(reversed(names)))  # without a header
    source = food101n.load("web", None, str(tmp_path), "")
    assert sorted(set(source.train.labels)) == sorted(set(source.test.labels)) == [97, 98, 99, 100]
    assert source.class_names[100] == "apple_pie"


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        *(
            (f"Food-101N_release/meta/{name}", "from https://kuanghuei.github.io/Food-101N/")
            for name in ("classes.txt", "imagelist.tsv", "verified_train.tsv", "verified_val.tsv")
        ),
        ("food-101/meta/test.txt", "from http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz"),
        (f"Food-101N_release/images/apple_pie/{3:032x}.jpg", "lacks 1 of 48 images"),
        ("food-101/images/apple_pie/1004.jpg", "lacks 1 of 8 images"),
    ],
)
def test_missing_files_are_named(tmp_path, manual, missing, words):
    (manual / missing).unlink()
    with pytest.raises(InputError) as error:
        food101n.load("web", None, str(tmp_path), "")
    folder, _, name = missing.partition("/")
    for word in (str(manual / folder), name.removeprefix("images/"), words, "dataset=food101n"):
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("Food-101N_release/meta/classes.txt", "more", "has 102 lines instead .* 101 classes"),
        ("Food-101N_release/meta/imagelist.tsv", "cake/1.jpg", "lists cake/1.jpg, whose folder is"),
        ("Food-101N_release/meta/imagelist.tsv", "../1.jpg", "not the path of a file"),
        ("Food-101N_release/meta/verified_train.tsv", "pho/1.jpg\t2", "from 0 to 1 are expected"),
        ("Food-101N_release/meta/verified_val.tsv", "pho/1.jpg", "from 0 to 1 are expected"),
        ("food-101/meta/test.txt", "apple_pie/1000", "lists apple_pie/1000 again in line 9"),
        ("food-101/meta/test.txt", "1000", "lists 1000, whose folder is none of the 101 classes"),
    ],
)
def test_damaged_lists_are_refused(tmp_path, manual, file, line, message):
    with (manual / file).open("a") as opened:
        opened.write(f"{line}\n")
    with pytest.raises(InputError, match=message):
        food101n.load("web", None, str(tmp_path), "")


def test_verified_labels_are_not_sampled(tmp_path, manual):
    config = DataConfig(dataset="food101n", data_dir=str(tmp_path), verified_fraction=0.5)
    with pytest.raises(InputError, match="food101n says itself which labels were verified"):
        splits.prepare(config)


def test_broken_images_are_left_out_if_asked(tmp_path, manual):
    [bad, *_] = sorted((manual / "Food-101N_release/images/baklava").iterdir())
    bad.write_bytes(b"")
    config = DataConfig(dataset="food101n", data_dir=str(tmp_path))
    with pytest.raises(InputError, match=f"1 of 48 train images .* baklava/{bad.name}"):
        splits.prepare(config)
    assert splits.prepare(config, skip_bad_images=True).num_examples("train") == 47

"""Clothing1M, read from a tiny one in the official layout."""

import numpy as np
import pytest

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig
from mentormix_tf.data import splits, verify
from mentormix_tf.data.sources import clothing1m
from tests.support import commands, official_layouts
from tests.support.corrected import by_id


@pytest.fixture
def clothes(tmp_path):
    return official_layouts.write_clothing1m(tmp_path) / "clothing1M"


def pairs(path):
    lines = [line.split() for line in path.read_text().splitlines()]
    return {name: int(label) for name, label in lines}


def prepared(tmp_path, dataset):
    made = splits.prepare(DataConfig(dataset=dataset, data_dir=str(tmp_path)))
    assert verify.examine(made.builder, made.manifest).problems == []
    return made


def test_the_noisy_list_is_trained_on_and_the_clean_one_tested(tmp_path, clothes):
    made = prepared(tmp_path, "clothing1m")
    noisy, clean = pairs(clothes / "noisy_label_kv.txt"), pairs(clothes / "clean_label_kv.txt")
    train, test = by_id(made), by_id(made, "test")
    assert len(train) == 48 and len(test) == 8
    assert set(train) == set((clothes / "noisy_train_key_list.txt").read_text().split())
    assert set(test) == set((clothes / "clean_test_key_list.txt").read_text().split())
    for name, row in {**train, **test}.items():
        label, truth = (noisy[name], -1) if name in train else (clean[name], clean[name])
        assert (row["label"], row["true_label"]) == (label, truth)
        assert row["is_clean"] == (-1 if name in train else 1)
        np.testing.assert_array_equal(row["image"], official_layouts.decoded(clothes / name))
    assert made.manifest["noise"] == "web" and made.manifest["realized_noise_rate"] is None
    assert made.class_names[0] == "T-Shirt" and len(made.class_names) == 14
    assert not made.has_verified


def test_noisy_labels_that_a_person_checked(tmp_path, clothes):
    made = prepared(tmp_path, "clothing1m_verified")
    clean, noisy = pairs(clothes / "clean_label_kv.txt"), pairs(clothes / "noisy_label_kv.txt")
    train = by_id(made)
    both = (clothes / "clean_train_key_list.txt").read_text().split()[:8]
    assert len(train) == 56 and set(both) < set(train)
    assert all(row["label"] == noisy[name] for name, row in train.items())
    for name, row in train.items():
        right = int(noisy[name] == clean[name]) if name in both else -1
        assert row["true_label"] == (clean[name] if name in both else -1)
        assert row["verified"] == row["is_clean"] == right
    assert made.manifest["num_verified"] == 8 and made.manifest["realized_noise_rate"] == 0.5


def test_a_training_image_with_a_clean_label_has_a_true_one(tmp_path, clothes):
    first, second, *_ = (clothes / "noisy_train_key_list.txt").read_text().split()
    noisy = pairs(clothes / "noisy_label_kv.txt")
    with (clothes / "clean_label_kv.txt").open("a") as file:
        file.write(f"{first} {noisy[first]}\n{second} {(noisy[second] + 1) % 14}\n")
    train = clothing1m.load("web", None, str(tmp_path), "").train
    assert train.true_labels[:3].tolist() == [noisy[first], (noisy[second] + 1) % 14, -1]
    assert train.verified.tolist()[:3] == train.is_clean.tolist()[:3] == [1, 0, -1]


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("category_names_eng.txt", "by hand from the address that the authors send on request"),
        ("noisy_label_kv.txt", "https://github.com/Cysu/noisy_label"),
        ("clean_label_kv.txt", "https://github.com/Cysu/noisy_label"),
        ("noisy_train_key_list.txt", "https://github.com/Cysu/noisy_label"),
        ("clean_train_key_list.txt", "https://github.com/Cysu/noisy_label"),
        ("clean_test_key_list.txt", "https://github.com/Cysu/noisy_label"),
        ("images/3/03/noisy_train,3.jpg", "lacks 1 of 56 images"),
        ("images/3/03/clean_test,3.jpg", "lacks 1 of 8 images"),
    ],
)
def test_missing_files_are_named(tmp_path, clothes, missing, words):
    (clothes / missing).unlink()
    with pytest.raises(InputError) as error:
        clothing1m.load_verified("web", None, str(tmp_path), "")
    for word in ("dataset=clothing1m_verified", missing, words, str(clothes)):
        assert word in str(error.value)


def test_the_clean_training_list_is_needed_for_verified_labels_only(tmp_path, clothes):
    (clothes / "clean_train_key_list.txt").unlink()
    assert len(clothing1m.load("web", None, str(tmp_path), "").train.ids) == 48


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("noisy_label_kv.txt", "images/0/x.jpg 14", "noisy_label_kv.txt has .* 0 to 13"),
        ("noisy_label_kv.txt", "images/0/x.jpg", "noisy_label_kv.txt has 'images/0/x.jpg' in line"),
        ("clean_label_kv.txt", "images/../../x.jpg 1", "lists .* not the path of a file"),
        ("noisy_train_key_list.txt", "../x.jpg", r"lists '\.\./x.jpg' in line 49"),
        (
            "noisy_train_key_list.txt",
            "images/0/x.jpg",
            "no label for 1 of 49 images in noisy",
        ),
        ("clean_test_key_list.txt", "images/0/x.jpg", "no label for 1 of 9 images in clean_test"),
        ("clean_test_key_list.txt", "images/0/00/clean_test,0.jpg", "lists .* again in line 9"),
        ("category_names_eng.txt", "Hat", "has 15 lines instead of one for each of 14 classes"),
    ],
)
def test_damaged_lists_are_refused(tmp_path, clothes, file, line, message):
    with (clothes / file).open("a") as opened:
        opened.write(f"{line}\n")
    with pytest.raises(InputError, match=message):
        clothing1m.load("web", None, str(tmp_path), "")


def test_no_image_is_trained_and_tested_on(tmp_path, clothes):
    clean = (clothes / "clean_test_key_list.txt").read_text().split()
    with (clothes / "noisy_train_key_list.txt").open("a") as file:
        file.write(f"{clean[0]}\n")
    with pytest.raises(InputError, match=f"lists {clean[0]}, which is a training image"):
        clothing1m.load("web", None, str(tmp_path), "")


@pytest.mark.slow
def test_commands(tmp_path, clothes):
    (clothes / "images/5/05/noisy_train,5.jpg").write_bytes(b"<html>Gone</html>")
    of = ["--dataset=clothing1m_verified", f"--data_dir={tmp_path}"]
    train = ["train", *of, "--image_size=16", "--batch_size=16", "--train_steps=4"]
    (refused, _, noise), (stopped, _, broken), *done = commands.run(
        ["prepare", *of, "--noise=symmetric"],
        ["prepare", *of],
        ["prepare", *of, "--skip_bad_images"],
        ["verify", *of],
        [*train, "--network=small_cnn", "--method=vanilla", f"--model_dir={tmp_path / 'run'}"],
        cwd=tmp_path,
    )
    assert refused == stopped == 1
    assert "is unknown for dataset=clothing1m_verified: choose one of web." in noise
    assert "1 of 56 train images can't be decoded, the first is images/5/05" in broken
    for status, _, error in done:
        assert status == 0, error
    assert "verified     8 labels" in done[0][1]
    assert (tmp_path / "run" / "result.json").exists()

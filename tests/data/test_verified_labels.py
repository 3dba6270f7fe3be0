"""Labels that a person has checked: sampled, listed in a CSV file, or corrected."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError, files
from mentormix_tf.config import DataConfig
from mentormix_tf.data import examples, prepared, splits, verified_labels, verify
from mentormix_tf.data.sources import users_csv
from tests.support.corrected import by_id, read_by_tfds, text
from tests.support.picture_files import encode


@pytest.fixture
def sampled(data_dir):
    """Digits of which 5 % of the training labels are verified."""
    return splits.prepare(DataConfig(data_dir=data_dir, verified_fraction=0.05))


def checked(split):
    """The examples whose labels are verified, by id."""
    return {name: e for name, e in by_id(split).items() if e["verified"] >= 0}


# A random sample of the labels.


def test_a_sample_is_verified_and_nothing_else_changes(sampled, digits):
    rows, before = by_id(sampled), by_id(digits)
    found = checked(sampled)
    assert len(found) == round(0.05 * 1437) == sampled.manifest["num_verified"]
    assert all(e["verified"] == e["is_clean"] for e in found.values())
    assert {e["verified"] for e in rows.values()} == {-1, 0, 1}
    assert list(rows) == list(before)
    for name, row in rows.items():
        assert row.pop("verified") in (-1, 0, 1)
        assert all(np.array_equal(row[column], before[name][column]) for column in before[name])
    assert {e["verified"] for e in read_by_tfds(sampled.path, "test")} == {-1}
    assert sampled.manifest["split_sha256"] == digits.manifest["split_sha256"]
    settings = {"verified_fraction": 0.05, "verified_classes": [], "verified_seed": 0}
    assert settings.items() <= sampled.manifest.items()
    assert sampled.path.parent.name == f"{digits.path.parent.name}-verified0.05-seed0"
    assert "  verified     72 labels\n" in sampled.text()
    assert verify.examine(sampled.builder, sampled.manifest).problems == []


def test_a_split_without_verified_labels_is_as_it_was(digits, sampled):
    assert digits.path.parent.name == "digits-symmetric-0.4-seed0"
    assert "verified" not in digits.text()
    assert not any("verified" in name for name in digits.manifest)
    assert sampled.has_verified and not digits.has_verified
    for split, known in ((sampled, {-1, 0, 1}), (digits, {-1})):
        [(name, values)] = examples.columns(split, "train", ["verified"]).items()
        assert name == "verified" and values.shape == (1437,) and values.dtype == np.int64
        assert set(values.tolist()) == known


def test_the_sample_says_nothing_about_which_labels_are_wrong(data_dir):
    config = DataConfig(data_dir=data_dir, verified_fraction=0.5)
    found = checked(splits.prepare(config))
    wrong = np.mean([e["verified"] == 0 for e in found.values()])
    assert abs(wrong - 0.4) < 3 * np.sqrt(0.4 * 0.6 / len(found))


@pytest.mark.slow
def test_seeds_fractions_and_classes(sampled, data_dir):
    def names(**settings):
        config = DataConfig(data_dir=data_dir, **settings)
        made = splits.prepare(config)
        assert verify.verify(config).problems == []
        return checked(made)

    first = set(checked(sampled))
    assert first < set(names(verified_fraction=0.1))
    other = set(names(verified_fraction=0.05, verified_seed=1))
    assert len(other) == len(first) and len(other & first) < 20  # 3.6 are expected
    of_two = names(verified_fraction=1.0, verified_classes=("7", "3"))
    counts = np.bincount([e["label"] for e in by_id(sampled).values()])
    found = [e["label"] for e in of_two.values()]
    assert set(found) == {3, 7} and len(found) == counts[3] + counts[7]
    folders = {
        splits.folder(splits.resolve(DataConfig(verified_fraction=0.1, verified_classes=each)))
        for each in ((), ("1",), ("1", "2"), ("1,2",))
    }
    assert len(folders) == 4


def test_held_out_examples_are_not_verified(data_dir):
    config = DataConfig(data_dir=data_dir, validation_fraction=0.2, verified_fraction=1.0)
    made = splits.prepare(config)
    assert {e["verified"] for e in read_by_tfds(made.path, "validation")} == {-1}
    assert len(checked(made)) == made.manifest["num_verified"] == made.num_examples("train")


def test_sampling_by_the_definition():
    random = np.random.RandomState(0)
    labels, clean = random.randint(3, size=1000), random.randint(2, size=1000)
    train = random.random_sample(1000) < 0.7
    config = DataConfig(verified_fraction=0.25, verified_classes=("b", "c"))
    found = verified_labels.sampled(config, ["a", "b", "c"], labels, clean, train)
    inside = train & (labels > 0)
    chosen = found >= 0
    assert chosen.sum() == round(0.25 * inside.sum()) and not (chosen & ~inside).any()
    assert (found[chosen] == clean[chosen]).all() and (found[~chosen] == -1).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"verified_fraction": 0.0}, r"verified_fraction=0.0 must lie in \(0, 1\]\."),
        ({"verified_fraction": 1.5}, r"verified_fraction=1.5 must lie in \(0, 1\]\."),
        ({"verified_fraction": float("nan")}, r"verified_fraction=nan must lie in \(0, 1\]\."),
        ({"verified_seed": -1}, r"verified_seed=-1 must lie in \[0, 2\*\*32\)"),
        ({"verified_classes": ("1", "2")}, r"verified_classes=1,2 needs a --verified_fraction\."),
        ({"verified_fraction": 1e-4}, "of 1,437 training examples is less than one"),
        (
            {"verified_fraction": 0.1, "verified_classes": ("1", "12")},
            "verified_classes has '12', which is no class: the nearest is '2'",
        ),
    ],
)
def test_bad_settings(tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        splits.prepare(DataConfig(data_dir=str(tmp_path / "new"), **settings))
    assert not (tmp_path / "new").exists()


# A column in the user's own CSV file.

ROWS = [
    ("a", "cat", "", "train", "1"),
    ("b", "cat", "", "train", " 0 "),
    ("c", "cat", "", "train", "-1"),
    ("d", "dog", "", "train", ""),
    ("e", "dog", "dog", "train", "1"),
    ("f", "dog", "cat", "train", "0"),
    ("g", "cat", "", "test", "1"),
    ("h", "dog", "", "test", "0"),
    ("i", "dog", "cat", "test", "0"),
]


@pytest.fixture
def own(tmp_path):
    """Writes a CSV file of images, and returns the data set."""
    random = np.random.RandomState(0)
    for name in "abcdefghi":
        path = tmp_path / f"{name}.png"
        path.write_bytes(encode(random.randint(256, size=(8, 8, 3)), "png"))

    def write(rows, columns=5):
        header = ("path", "label", "true_label", "split", "verified")
        lines = [header, *((f"{row[0]}.png", *row[1:]) for row in rows)]
        path = tmp_path / "labels.csv"
        path.write_text(files.csv_text([line[:columns] for line in lines]))
        return DataConfig(dataset=f"csv:{path}", data_dir=str(tmp_path / "data"))

    return write


def test_a_column_of_a_csv_file(own, caplog):
    config = own(ROWS)
    made = splits.prepare(config)
    found = {name[0]: int(e["verified"]) for name, e in by_id(made).items()}
    assert found == {"a": 1, "b": 0, "c": -1, "d": -1, "e": 1, "f": 0}
    truth = {name[0]: int(e["is_clean"]) for name, e in by_id(made).items()}
    assert truth == {"a": -1, "b": -1, "c": -1, "d": -1, "e": 1, "f": 0}
    assert made.manifest["num_verified"] == 4 and made.has_verified
    assert {name[0]: e["verified"] for name, e in by_id(made, "test").items()} == {"g": -1, "i": -1}
    assert "1 images to test on whose label is wrong (verified=0)" in caplog.text
    assert verify.verify(config).problems == []
    other = splits.prepare(own([*ROWS[:3], (*ROWS[3][:4], "1"), *ROWS[4:]]))
    assert other.path != made.path and other.manifest["num_verified"] == 5


def test_an_empty_column_is_as_none(own):
    without = splits.folder(splits.resolve(own(ROWS, columns=4)))
    config = own([(*row[:4], value) for row, value in zip(ROWS, ["", "-1"] * 5, strict=False)])
    assert splits.folder(splits.resolve(config)) == without
    made = splits.prepare(config)
    assert not made.has_verified and all("verified" not in e for e in by_id(made).values())


def test_noise_changes_what_is_known(own):
    def verified(noise_level):
        config = dataclasses.replace(own(ROWS), noise="symmetric", noise_level=noise_level)
        made = splits.prepare(config)
        assert verify.verify(config).problems == []
        return {name[0]: int(e["verified"]) for name, e in by_id(made).items()}

    assert verified(0.0) == {"a": 1, "b": 0, "c": -1, "d": -1, "e": 1, "f": 0}
    assert verified(1.0) == {"a": 0, "b": -1, "c": -1, "d": -1, "e": 0, "f": -1}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("a", "cat", "", "train", "yes"), "line 2, has verified='yes': write 1 for a label"),
        (("a", "cat", "", "train", "2"), "line 2, has verified='2': write 1"),
        (("a", "cat", "dog", "train", "1"), "line 2, has verified=1, but the label 'cat' and the"),
        (("a", "cat", "cat", "train", "0"), "line 2, has verified=0, but the label 'cat' and the"),
    ],
)
def test_bad_rows_of_a_csv_file(own, row, message):
    with pytest.raises(InputError, match=message):
        users_csv.listing(own([row, *ROWS[1:]]).dataset.removeprefix("csv:"))


def test_what_a_csv_file_with_verified_labels_does_not_go_with(own):
    config = dataclasses.replace(own(ROWS), noise="annotators_majority")
    with pytest.raises(InputError, match="verified labels, which noise=annotators_majority can't"):
        splits.prepare(config)
    with pytest.raises(InputError, match="says itself which labels were verified"):
        splits.prepare(dataclasses.replace(own(ROWS), verified_fraction=0.5))
    config = dataclasses.replace(own(ROWS, columns=4), verified_fraction=0.5)
    with pytest.raises(InputError, match="lacks those of 4 training examples: leave it out, or"):
        splits.prepare(config)


# Corrections.


def test_corrections_say_which_labels_were_checked(sampled, tmp_path, data_dir):
    rows = list(by_id(sampled).values())
    wrong = [e for e in rows if not e["is_clean"] and e["verified"] == -1]
    known = [e for e in rows if e["verified"] == 1]
    given = [
        (wrong[0], "keep", "0"),
        (wrong[1], "relabel", "1"),
        (wrong[2], "relabel", ""),
        (wrong[3], "keep", "-1"),
        (wrong[4], "keep", ""),  # a mistake
        (wrong[5], "drop", "0"),
        (known[0], "keep", "-1"),
        (known[1], "drop", ""),
    ]
    lines = [(e["id"].decode(), word, str(e["true_label"]), cell) for e, word, cell in given]
    lines = [(*row[:2], row[2] if row[1] == "relabel" else "", row[3]) for row in lines]
    path = tmp_path / "c.csv"
    header = ("id", "decision", "label", "verified")
    path.write_text(text(sampled.manifest["split_sha256"], lines, header))
    config = DataConfig(data_dir=data_dir, verified_fraction=0.05, corrections=str(path))
    made = splits.prepare(config)
    found, before = by_id(made), by_id(sampled)
    marks = [found.get(line[0], {"verified": None})["verified"] for line in lines]
    assert marks == [0, 1, 1, -1, 1, None, -1, None]
    others = found.keys() - {line[0] for line in lines}
    assert all(found[name]["verified"] == before[name]["verified"] for name in others)
    assert made.manifest["num_verified"] == 72 + 4 - 2
    assert made.path.parent.name.startswith(f"{sampled.path.parent.name}-corrected")
    assert verify.verify(config).problems == []


@pytest.mark.parametrize(
    ("word", "cell", "message"),
    [
        ("keep", "right", "line 3, has verified='right': write 1 for a label"),
        ("relabel", "0", "relabels 'train_0' with verified=0, but a label that a person has set"),
        ("relabel", "-1", "relabels 'train_0' with verified=-1, but a label that a person has set"),
    ],
)
def test_bad_rows_of_corrections(tmp_path, word, cell, message):
    path = tmp_path / "c.csv"
    header = ("id", "decision", "label", "verified")
    path.write_text(text("0" * 64, [("train_0", word, "3", cell)], header))
    with pytest.raises(InputError, match=message):
        splits.prepare(DataConfig(data_dir=str(tmp_path / "new"), corrections=str(path)))


# Damage.


def test_verify_compares_with_is_clean(sampled, tmp_path):
    path = type(sampled.path)(tmp_path / "copy")
    shutil.copytree(sampled.path, path)
    [file] = path.glob("*train.tfrecord*")
    changed = []
    for record in tf.data.TFRecordDataset(str(file)):
        example = tf.train.Example.FromString(record.numpy())
        value = example.features.feature["verified"].int64_list.value
        value[0] = {1: 0, 0: 2}.get(value[0], -1)
        changed.append(example.SerializeToString())
    with tf.io.TFRecordWriter(str(file)) as writer:
        for each in changed:
            writer.write(each)
    damaged = prepared.read(path)
    problems = verify.examine(damaged.builder, {**damaged.manifest, "num_verified": 7}).problems
    wrong = sum(e["verified"] == 0 for e in checked(sampled).values())
    assert f"{wrong} records have a verified outside [-1, 2)." in problems
    assert "72 records have another verified than their is_clean." in problems
    assert "72 labels are verified, but the manifest has 7." in problems


def test_other_manifests_are_refused(sampled, tmp_path):
    path = type(sampled.path)(tmp_path / "copy")
    shutil.copytree(sampled.path, path)
    manifest = json.loads((path / "manifest.json").read_text())
    for bad in (
        {"verified_fraction": 2},
        {"verified_classes": 1},
        {"verified_classes": [1]},
        {"verified_seed": -1},
        {"num_verified": None},
    ):
        (path / "manifest.json").write_text(json.dumps({**manifest, **bad}))
        with pytest.raises(InputError, match=r"prepare it again\.$"):
            prepared.load(path)
    for missing in ("verified_fraction", "num_verified"):
        kept = {name: value for name, value in manifest.items() if name != missing}
        (path / "manifest.json").write_text(json.dumps(kept))
        with pytest.raises(InputError, match=r"verified labels.*prepare it again\.$"):
            prepared.load(path)
    for name, value in (("verified_seed", 1), ("verified_classes", ["1"])):
        other = {**manifest, name: value}
        config = DataConfig(data_dir=str(tmp_path / "data"), verified_fraction=0.05)
        folder = splits.folder(splits.resolve(config))
        shutil.copytree(path, folder, dirs_exist_ok=True)
        (folder / "manifest.json").write_text(json.dumps(other))
        with pytest.raises(InputError, match=f"has a split with {name}="):
            splits.prepare(config)

"""Noisy splits: what is written, reused and rejected, and the problems that verification finds."""

import dataclasses
import hashlib
import json
import pwd

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from mentormix_tf import InputError, files
from mentormix_tf.config import DataConfig
from mentormix_tf.data import augment, examples, pipeline, splits, verify, writer


def read_by_tfds(path, split):
    """Reads a split with TFDS alone, without this package."""
    return list(tfds.builder_from_directory(path).as_dataset(split=split).as_numpy_iterator())


def test_tfds_reads_it_alone(digits):
    train, test = read_by_tfds(digits.path, "train"), read_by_tfds(digits.path, "test")
    assert (len(train), len(test)) == (1437, 360)
    for example in train:
        assert example["image"].shape == (8, 8, 1) and example["image"].dtype == np.uint8
        assert example["is_clean"] == (example["label"] == example["true_label"])
    assert all(example["is_clean"] == 1 for example in test)
    assert len({example["id"] for example in train}) == 1437
    info = tfds.builder_from_directory(digits.path).info
    assert info.features["label"].names == [str(i) for i in range(10)]


def test_manifest_tells_the_truth(digits):
    train = read_by_tfds(digits.path, "train")
    manifest = json.loads((digits.path / "manifest.json").read_text())
    wrong = np.mean([example["label"] != example["true_label"] for example in train])
    assert manifest["realized_noise_rate"] == wrong == round(0.4 * 1437) / 1437
    lines = sorted((e["id"].decode(), int(e["label"])) for e in train)
    text = "".join(f"{identifier} {label}\n" for identifier, label in lines)
    assert manifest["split_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    matrix = np.zeros((10, 10))
    for example in train:
        matrix[example["true_label"], example["label"]] += 1
    matrix /= matrix.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(manifest["transition_matrix"], matrix, atol=1e-6)
    assert manifest["files"] == {
        path.name: path.stat().length for path in digits.path.glob("*.tfrecord*")
    }


def test_hash_is_the_same_on_every_machine(digits):
    assert digits.manifest["split_sha256"].startswith("5c9aeba478de80ee841ecd9f49a8198c")


@pytest.mark.parametrize(
    "change",
    [
        {"noise_seed": 1},
        {"noise_level": 0.2},
        {"noise": "uniform"},
        {"noise": "asymmetric"},
        {"noise": "pair_flip"},
        {"noise": "instance"},
    ],
)
def test_other_settings_other_labels(digits, data_dir, change):
    other = splits.prepare(DataConfig(data_dir=data_dir, **change))
    assert other.path != digits.path
    assert other.manifest["split_sha256"] != digits.manifest["split_sha256"]


def test_validation_is_cut_from_the_noisy_training_examples(digits, data_dir):
    cut = splits.prepare(DataConfig(data_dir=data_dir, validation_fraction=0.2))
    validation, train = read_by_tfds(cut.path, "validation"), read_by_tfds(cut.path, "train")
    assert len(validation) == round(0.2 * 1437)
    labels = {e["id"]: e["label"] for e in validation + train}
    assert labels == {e["id"]: e["label"] for e in read_by_tfds(digits.path, "train")}
    assert 0.3 < 1 - np.mean([e["is_clean"] for e in validation]) < 0.5
    assert cut.manifest["split_sha256"] == digits.manifest["split_sha256"]


def test_part_of_the_training_examples(digits, data_dir):
    part = splits.prepare(
        DataConfig(data_dir=data_dir, train_examples=500, validation_fraction=0.1)
    )
    validation, train = read_by_tfds(part.path, "validation"), read_by_tfds(part.path, "train")
    assert (len(validation), len(train)) == (50, 450)
    assert len(read_by_tfds(part.path, "test")) == len(read_by_tfds(digits.path, "test"))
    everything = {e["id"]: e["label"] for e in read_by_tfds(digits.path, "train")}
    labels = {e["id"]: e["label"] for e in validation + train}
    assert len(labels) == 500
    assert labels.items() <= everything.items()
    wrong = 1 - np.mean([e["is_clean"] for e in validation + train])
    assert part.manifest["realized_noise_rate"] == pytest.approx(wrong)
    assert not verify.examine(part.builder, part.manifest).problems
    with pytest.raises(InputError, match=r"train_examples=1438 is more than the 1437"):
        splits.prepare(DataConfig(data_dir=data_dir, train_examples=1438))


def test_an_existing_split_is_reused(digits, data_dir):
    before = {path.name: path.stat().mtime for path in digits.path.iterdir()}
    again = splits.prepare(DataConfig(data_dir=data_dir, noise="symmetric", noise_level=0.4))
    assert again.path == digits.path
    assert {path.name: path.stat().mtime for path in digits.path.iterdir()} == before


def test_noise_files(tmp_path, data_dir):
    np.save(tmp_path / "labels.npy", np.zeros(1437, int))
    made = splits.prepare(
        DataConfig(noise="from_file", noise_file=str(tmp_path / "labels.npy"), data_dir=data_dir)
    )
    assert {e["label"] for e in read_by_tfds(made.path, "train")} == {0}
    np.save(tmp_path / "matrix.npy", np.full((10, 10), 0.1))
    made = splits.prepare(
        DataConfig(noise="matrix", noise_file=str(tmp_path / "matrix.npy"), data_dir=data_dir)
    )
    assert abs(made.manifest["realized_noise_rate"] - 0.9) < 0.03


def test_a_half_written_split_is_written_again(tmp_path, monkeypatch):
    config = DataConfig(data_dir=str(tmp_path))
    monkeypatch.setattr(writer, "_manifest", lambda config: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        splits.prepare(config)
    path = splits.folder(splits.resolve(config))
    assert not path.exists()
    leftover = path.parent / "incomplete.ABC_1.0.0"  # what a killed process leaves
    leftover.mkdir()
    monkeypatch.undo()
    assert splits.prepare(config).num_examples("train") == 1437
    assert not leftover.exists()


def test_full_disk(tmp_path, monkeypatch):
    def full(*args, **kwargs):  # the error of TFDS on a full file system
        raise RuntimeError("ResourceExhaustedError: Failed to finalize; No space left on device")

    monkeypatch.setattr(writer.NoisyLabels, "_download_and_prepare", full)
    with pytest.raises(InputError, match=r"can't be written: the disk is full"):
        splits.prepare(DataConfig(data_dir=str(tmp_path)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dataset": "cifar11"}, "dataset=cifar11 is unknown: choose one of digits"),
        ({"noise": "pink"}, "noise=pink is unknown for dataset=digits: choose one of symmetric"),
        ({"noise": "red"}, "noise=red is unknown for dataset=digits"),
        ({"dataset": "mini_webvision", "noise": "symmetric"}, "choose one of web"),
        ({"dataset": "cifar10_n", "noise_level": 0.4}, "noise=human_worse has no levels"),
        ({"noise": "matrix"}, "noise=matrix needs a --noise_file"),
        ({"noise_file": "a.npy"}, "noise_file=a.npy can't be set: noise=symmetric reads no file"),
        ({"noise": "matrix", "noise_file": "gone.npy"}, "noise_file=gone.npy does not exist"),
        (
            {"dataset": "mini_imagenet", "noise": "red", "noise_level": 0.25},
            "0, 0.05, 0.1, 0.15, 0.2, 0.3",
        ),
        ({"dataset": "tfds:no_such_set"}, "no_such_set is not a data set of TensorFlow Datasets"),
    ],
)
def test_bad_settings(tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        splits.prepare(DataConfig(data_dir=str(tmp_path), **settings))


def test_a_user_without_a_name(tmp_path, monkeypatch):
    """As in a container that runs as a user that its /etc/passwd does not list."""

    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    config = DataConfig(data_dir=str(tmp_path))
    assert splits.prepare(config).num_examples("train") == 1437
    assert not verify.verify(config).problems


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data_dir": ""}, "data_dir is empty"),
        ({"data_dir": "~nobodyhere/x"}, "data_dir=~nobodyhere/x needs a home folder"),
        ({"data_dir": "s3://bucket"}, "s3://bucket.* can't be reached"),
        ({"data_dir": "/dev/null"}, "can't be created: Not a directory"),
        ({"data_dir": "/dev/null/x"}, "can't be created: Not a directory"),
        ({"data_dir": "/tmp/" + "x" * 300}, "can't be created: File name too long"),
        ({"noise": "from_file", "noise_file": "x" * 300}, "does not exist"),
        ({"noise": "from_file", "noise_file": "a\0b"}, "noise_file=.* NUL"),
        ({"validation_fraction": 0.9999999}, "leaves none to train on"),
        ({"validation_fraction": 1e-9}, "is less than one"),
        ({"train_examples": 1, "validation_fraction": 0.4}, "is less than one"),
        ({"train_examples": 1, "validation_fraction": 0.6}, "leaves none to train on"),
        ({"validation_fraction": float("nan")}, r"must lie in \[0, 1\)"),
        ({"noise_level": float("nan")}, r"must lie in \[0, 1\]"),
    ],
)
def test_settings_at_their_ends(tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        splits.prepare(DataConfig(**{"data_dir": str(tmp_path), **settings}))


def test_names_of_folders_tell_settings_apart():
    def name(**settings):
        return splits.folder(splits.resolve(DataConfig(**settings))).parent.name

    assert name(noise_level=-0.0) == name(noise_level=0.0) == "digits-symmetric-0-seed0"
    assert name(validation_fraction=0.1234567) != name(validation_fraction=0.1234568)
    assert name(noise_level=0.4, validation_fraction=0.1).endswith("symmetric-0.4-seed0-val0.1")


def test_another_process_finishes_first_where_there_are_no_locks(tmp_path, monkeypatch):
    config = DataConfig(data_dir=str(tmp_path))

    def unsupported(*_):
        raise OSError("no locks available")

    monkeypatch.setattr(files.fcntl, "flock", unsupported)
    path = splits.folder(splits.resolve(config))
    other = path.parent / "incomplete.ABC_1.0.0"  # another process is writing to it
    other.mkdir(parents=True)
    write = writer.NoisyLabels.download_and_prepare

    def late(builder, *args, **kwargs):
        write(builder, *args, **kwargs)
        raise FileExistsError("Cannot rename")

    monkeypatch.setattr(writer.NoisyLabels, "download_and_prepare", late)
    assert splits.prepare(config).num_examples("train") == 1437
    assert other.exists()


# Damaged files.


def examine(path):
    manifest = json.loads((path / "manifest.json").read_text())
    return verify.examine(tfds.builder_from_directory(path), manifest)


def test_verification_of_an_intact_split(digits):
    found = examine(digits.path)
    assert found.problems == []
    assert found.sha256 == digits.manifest["split_sha256"]
    assert found.histograms["train"].sum() == 1437 and found.histograms["test"].sum() == 360


def rewrite(file, records):
    with tf.io.TFRecordWriter(str(file)) as writer:
        for record in records:
            writer.write(record)


def test_truncated_at_a_record(copy):
    path, file = copy
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(file))]
    rewrite(file, records[:1000])
    with pytest.raises(InputError, match=r"train.tfrecord.* bytes, but was written with"):
        splits.load(path)
    problems = " ".join(examine(path).problems)
    assert "only 1000 of 1437 records can be read" in problems and file.name in problems


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


@pytest.mark.slow
def test_flipped_bit(copy):
    path, file = copy
    flip_a_bit(file)
    data = splits.load(path)  # the file still has the right size
    with pytest.raises(InputError, match=r"train.tfrecord.* is damaged.*prepare it again"):
        pipeline.train_batches(data, 128, 0, augment.AUGMENTATIONS["none"], (8, 8, 1))
    streamed = pipeline.train_batches(
        data, 128, 0, augment.AUGMENTATIONS["none"], (8, 8, 1), memory=0
    )
    with pytest.raises(tf.errors.DataLossError):  # no silent loss of the rest of a shard
        list(streamed.take(11))
    assert file.name in str(examples.damage(data))
    problems = " ".join(examine(path).problems)
    assert "records can be read: the next one is damaged" in problems


def test_missing_file(copy):
    path, file = copy
    file.unlink()
    with pytest.raises(InputError, match=r"train.tfrecord.* is missing"):
        splits.load(path)
    assert "the file is missing, with 1437 records" in " ".join(examine(path).problems)


def test_wrong_contents(copy, digits):
    path, file = copy
    features = digits.builder.info.features
    records = []
    for record in tf.data.TFRecordDataset(str(file)):
        example = tf.train.Example.FromString(record.numpy())
        records.append(example)
    records[0].features.feature["label"].int64_list.value[0] = 10
    records[1].features.feature["image"].bytes_list.value[0] = b"no image"
    records[2].features.feature["id"].bytes_list.value[0] = (
        records[3].features.feature["id"].bytes_list.value[0]
    )
    rewrite(file, [record.SerializeToString() for record in records])
    problems = " ".join(examine(path).problems)
    assert "1 records have a label outside [0, 10), the first is 10" in problems
    assert "1 images can't be decoded, the first is train_" in problems
    assert "occurs 2 times" in problems and "The hash of the labels" in problems
    assert features["label"].num_classes == 10


def test_no_manifest(copy):
    path, _ = copy
    (path / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"manifest.json can't be read .No such"):
        splits.load(path)


def test_config_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DataConfig().noise = "red"

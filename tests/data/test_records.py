"""Files that are not as they were written are found while they are read."""

import json

import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig
from mentormix_tf.data import augment, examples, pipeline, prepared, records, splits

PLAIN = augment.AUGMENTATIONS["none"]


@pytest.fixture
def swapped(copy, data_dir):
    """The digits split with the training file of another noise seed, which has the same size."""
    path, file = copy
    other = splits.prepare(DataConfig(data_dir=data_dir, noise_seed=1))
    foreign = (other.path / file.name).read_bytes()
    assert len(foreign) == len(file.read_bytes()) and foreign != file.read_bytes()
    file.write_bytes(foreign)
    return path


def forget_fingerprints(path):
    """Makes a manifest one of version 0.1.0."""
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["fingerprints"], manifest["label_names"]
    (path / "manifest.json").write_text(json.dumps(manifest))


def train(path, memory=examples.MEMORY):
    data = prepared.load(path)
    batches = pipeline.train_batches(data, 128, 0, PLAIN, (8, 8, 1), memory=memory)
    return len(list(batches.take(11).as_numpy_iterator()))


def test_swapped_files_in_memory(swapped):
    with pytest.raises(InputError, match=r"train.tfrecord.* does not have the records that were"):
        train(swapped)


@pytest.mark.slow
def test_swapped_files_streamed(swapped):
    with pytest.raises(tf.errors.InvalidArgumentError, match=records.NOT_AS_WRITTEN) as raised:
        train(swapped, memory=0)
    assert examples.is_damage(raised.value)
    assert "train.tfrecord-00000" in str(examples.damage(prepared.load(swapped)))


def test_swapped_files_with_an_old_manifest(swapped):
    forget_fingerprints(swapped)
    with pytest.raises(InputError, match=r"has other training labels than its manifest.json says"):
        train(swapped)


def test_an_old_manifest_is_read(copy):
    path, _ = copy
    forget_fingerprints(path)
    assert train(path) == train(path, memory=0) == 11


def test_another_number_or_other_records_are_found_at_the_end(tmp_path):
    """Another count is found, whether or not the fingerprint is known."""
    path = str(tmp_path / "file")
    with tf.io.TFRecordWriter(path) as writer:
        for i in range(130):
            writer.write(bytes([i]))
    text = records.fingerprint(path)
    right = records.written({"fingerprints": {"file": text}}, "file")
    for expected in (right, records.UNKNOWN):
        made = records.checked(*map(tf.constant, (path, np.int64(130), np.int64(expected))))
        assert [r[0] for r in made.as_numpy_iterator()] == list(range(130))
    for length, expected in [(131, right), (129, records.UNKNOWN), (130, right + 1)]:
        made = records.checked(*map(tf.constant, (path, np.int64(length), np.int64(expected))))
        with pytest.raises(tf.errors.InvalidArgumentError, match=records.NOT_AS_WRITTEN):
            list(made)


def test_a_stored_fingerprint_stays_right(tmp_path):
    """The number is the same in every version of TensorFlow."""
    path = str(tmp_path / "file")
    with tf.io.TFRecordWriter(path) as writer:
        for word in (b"noisy", b"labels", b""):
            writer.write(word)
    assert records.fingerprint(path) == "6c8b1156634c6ae0"

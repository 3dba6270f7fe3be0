"""A split is opened only if it is the one that was asked for, with all its files."""

import shutil

import pytest

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig
from mentormix_tf.data import prepared, splits


def test_a_split_of_other_settings_in_its_place(digits, data_dir, tmp_path):
    other = splits.prepare(DataConfig(data_dir=data_dir, noise_seed=1))
    config = DataConfig(data_dir=str(tmp_path))
    shutil.copytree(other.path, splits.folder(splits.resolve(config)))
    with pytest.raises(InputError, match=r"has a split with noise_seed=1 instead of 0"):
        splits.prepare(config)


def test_a_file_of_another_size(copy):
    path, file = copy
    file.write_bytes(b"")
    with pytest.raises(InputError, match=r"train.tfrecord\S* has 0 bytes, but was written with"):
        prepared.load(path)
    assert prepared.read(path).num_examples("train") == 1437

"""Splits that tests share or damage; sizes of official data sets that tiny ones can have."""

import shutil

import pytest

from mentormix_tf.config import DataConfig
from mentormix_tf.data import splits
from mentormix_tf.data.sources import animal10n, imagenet2012

REAL_SIZES = dict(imagenet2012.TARS)


@pytest.fixture(scope="session", autouse=True)
def tiny_sizes():
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in REAL_SIZES:
            monkeypatch.setitem(imagenet2012.TARS, name, None)
        for name, count in {"training": 48, "testing": 8}.items():
            monkeypatch.setitem(animal10n.COUNTS, name, count)
        yield


@pytest.fixture
def copy(digits, tmp_path):
    """A copy of the digits split that a test may damage, and its training file."""
    path = type(digits.path)(tmp_path / "split")
    shutil.copytree(digits.path, path)
    [file] = path.glob("*train.tfrecord*")
    return path, file


@pytest.fixture
def base(data_dir):
    """Digits with a part held out for validation."""
    return splits.prepare(DataConfig(data_dir=data_dir, validation_fraction=0.1))

"""Prepared splits that many tests read."""

import pytest

from mentormix_tf.config import DataConfig
from mentormix_tf.data import splits


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A data_dir that all tests share: what one prepares, the next finds."""
    return str(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def digits(data_dir):
    """Digits with 40 % symmetric noise."""
    return splits.prepare(DataConfig(data_dir=data_dir))

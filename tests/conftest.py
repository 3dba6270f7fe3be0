"""Prepared splits that many tests read."""

import numpy as np
import pytest

from mentormix_tf.config import DataConfig
from mentormix_tf.data import splits
from tests.support.picture_files import encode


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A data_dir that all tests share: what one prepares, the next finds."""
    return str(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def digits(data_dir):
    """Digits with 40 % symmetric noise."""
    return splits.prepare(DataConfig(data_dir=data_dir))


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder with two classes of colour images of many sizes and formats."""
    root = tmp_path_factory.mktemp("photos")
    draws = np.random.RandomState(0)
    for name, channel in (("blue", 2), ("red", 0)):
        (root / name).mkdir()
        for i in range(20):
            pixels = draws.randint(120, size=(*draws.randint(20, 90, size=2), 3))
            pixels[..., channel] += 100
            kind = ("png", "jpeg", "bmp", "gif")[i % 4]
            (root / name / f"{i}.{kind}").write_bytes(encode(pixels, kind))
    return root

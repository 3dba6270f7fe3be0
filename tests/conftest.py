"""Prepared splits, images and runs that many tests read."""

import numpy as np
import pytest

from mentormix_tf.config import DataConfig
from mentormix_tf.data import splits
from tests.support.picture_files import encode
from tests.support.written_run import write_run


def pytest_collection_modifyitems(items):
    """Marks the tests of each file that starts processes, which `make quick` leaves out."""
    for item in items:
        if {"subprocess", "commands"} & vars(item.module).keys():
            item.add_marker("subprocess")


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
    """A folder with two classes of color images of many sizes and formats."""
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


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory, data_dir):
    """A run on digits with every kind of weights, and its averaged weights exported."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    data_config = DataConfig(data_dir=data_dir, validation_fraction=0.1)
    return write_run(folder, data_config, average_decay=0.9)


@pytest.fixture(scope="session")
def photos_run(tmp_path_factory, data_dir, photos):
    """A run in bfloat16 on images of many sizes, of which evaluation shows the middle."""
    return write_run(
        tmp_path_factory.mktemp("runs") / "photos",
        DataConfig(dataset=f"folder:{photos}", data_dir=data_dir),
        image_size=24,
        precision="bfloat16",
        augmentation="imagenet",
    )

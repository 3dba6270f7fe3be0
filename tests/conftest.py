"""Prepared splits, images and runs that many tests read."""

import pathlib

import numpy as np
import pytest

from mentormix_tf.config import DataConfig
from mentormix_tf.data import splits
from tests.support.picture_files import encode
from tests.support.written_run import write_run

TESTS = pathlib.Path(__file__).parent
LONG = (  # folders and files that train, build large networks, write many splits or draw
    "auditing/test_subjects.py",
    "data/sources",
    "data/test_beam_pipeline.py",
    "data/test_corrections.py",
    "data/test_corrections_files.py",
    "data/test_decoding.py",
    "data/test_examples_file.py",
    "data/test_hand_downloads.py",
    "data/test_headers.py",
    "data/test_images.py",
    "data/test_metadata.py",
    "data/test_official_sources.py",
    "data/test_pipeline.py",
    "data/test_prepared.py",
    "data/test_records.py",
    "data/test_service.py",
    "data/test_splits.py",
    "data/test_stages.py",
    "data/test_verified_labels.py",
    "distribution",
    "fuzz",
    "inference/test_features.py",
    "methods/test_base.py",
    "methods/test_conformance.py",
    "methods/test_example_statistics.py",
    "methods/test_fit_checks.py",
    "methods/test_mentormix.py",
    "methods/test_network_checks.py",
    "networks",
    "rounds/test_clean_net.py",
    "rounds/test_confusion.py",
    "rounds/test_curriculum_net.py",
    "rounds/test_run.py",
    "runs",
    "serving",
    "studies/test_report.py",
    "training",
    "test_docs.py",
    "test_public.py",
)


def pytest_collection_modifyitems(items):
    """Marks as quick all tests but those in `LONG` and in files that start processes."""
    for item in items:
        is_long = any(item.path.is_relative_to(TESTS / path) for path in LONG)
        if not is_long and not {"subprocess", "commands"} & vars(item.module).keys():
            item.add_marker("quick")


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
    return write_run(folder, data_config, ema_decay=0.9)


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

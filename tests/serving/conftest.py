"""Runs to read back, and their exports."""

import io
import types

import numpy as np
import pytest
from etils import epath
from PIL import Image

from mentormix_tf.config import DataConfig
from mentormix_tf.serving import saved_model, saved_run
from tests.serving import small_runs


def encode(array, kind="png", mode=None, **options):
    """An array of pixels as the bytes of an image file."""
    file = io.BytesIO()
    image = Image.fromarray(np.asarray(array, np.uint8).squeeze())
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


def _made(folder, data_config, **training):
    model, images, label = small_runs.write(epath.Path(folder), data_config, **training)
    return types.SimpleNamespace(
        path=folder, data_config=data_config, model=model, images=images, label=label
    )


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory, data_dir):
    """A run on digits with every kind of weights, and its averaged weights exported."""
    data_config = DataConfig(data_dir=data_dir, validation_fraction=0.1)
    made = _made(tmp_path_factory.mktemp("runs") / "digits", data_config, average_decay=0.9)
    made.run = saved_run.read(made.path)
    made.trained = saved_run.load_network(made.run)
    made.export = saved_model.export(made.run, made.trained, made.path / "export")
    return made


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


@pytest.fixture(scope="session")
def photos_run(tmp_path_factory, data_dir, photos):
    """A run on images of many sizes, of which evaluation shows the middle."""
    made = _made(
        tmp_path_factory.mktemp("runs") / "photos",
        DataConfig(dataset=f"folder:{photos}", data_dir=data_dir),
        steps=4,
        batch_size=8,
        image_size=24,
        precision="bfloat16",
        augmentation="imagenet",
    )
    made.run = saved_run.read(made.path)
    made.trained = saved_run.load_network(made.run)
    made.export = saved_model.export(made.run, made.trained, made.path / "export")
    return made

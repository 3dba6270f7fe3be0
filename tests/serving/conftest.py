"""Runs to read back, and their exports."""

import io
import types
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.data import pipeline, splits
from mentormix_tf.serving import saved_model, saved_run
from mentormix_tf.training import run


def encode(array, kind="png", mode=None, **options):
    """An array of pixels as the bytes of an image file."""
    file = io.BytesIO()
    image = Image.fromarray(np.asarray(array, np.uint8).squeeze())
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


def _made(folder, data_config, **training):
    """Trains, and keeps the model with the test images, as evaluation shows them, and labels."""
    training = TrainingConfig(train_steps=20, eval_every=20, **training)
    config = RunConfig(data_config, training)
    build, models = run.build_model, []

    def build_model(*arguments):
        models.append(build(*arguments))
        return models[0]

    with mock.patch.object(run, "build_model", build_model):
        result = run.run(config, OutputConfig(model_dir=str(folder)))
    saved = saved_run.read(folder)
    data = splits.prepare(data_config)
    batches = list(pipeline.eval_batches(data, "test", 100, saved.augmentation, saved.image_shape))
    real = np.concatenate([batch["weight"] for batch in batches]) > 0
    trained = saved_run.load_network(saved)
    return types.SimpleNamespace(
        path=folder,
        data_config=data_config,
        model=models[0],
        result=result,
        images=np.concatenate([batch["image"] for batch in batches])[real],
        label=np.concatenate([batch["label"] for batch in batches])[real],
        run=saved,
        trained=trained,
        export=saved_model.export(saved, trained, folder / "export"),
    )


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory, data_dir):
    """A run on digits with every kind of weights, and its averaged weights exported."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    data_config = DataConfig(data_dir=data_dir, validation_fraction=0.1)
    return _made(folder, data_config, average_decay=0.9)


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
    return _made(
        tmp_path_factory.mktemp("runs") / "photos",
        DataConfig(dataset=f"folder:{photos}", data_dir=data_dir),
        batch_size=4,
        learning_rate=0.001,  # so that no score is 0 or 1, which would compare too easily
        image_size=24,
        precision="bfloat16",
        augmentation="imagenet",
    )

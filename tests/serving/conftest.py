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
from mentormix_tf.training.checkpoints import Checkpoints
from mentormix_tf.training.run_folder import RunFolder


def encode(array, kind="png", mode=None, **options):
    """An array of pixels as the bytes of an image file."""
    file = io.BytesIO()
    image = Image.fromarray(np.asarray(array, np.uint8).squeeze())
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


def read_back(folder, model, data_config):
    """A run, with its model and with the test images, as evaluation shows them, and labels."""
    saved = saved_run.read(folder)
    data = splits.prepare(data_config)
    shown = dict(augmentation=saved.augmentation, image_shape=saved.image_shape)
    batches = list(pipeline.eval_batches(data, "test", 100, **shown))
    real = np.concatenate([batch["weight"] for batch in batches]) > 0
    trained = saved_run.load_network(saved)
    return types.SimpleNamespace(
        path=folder,
        data_config=data_config,
        model=model,
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
    config = RunConfig(
        DataConfig(data_dir=data_dir, validation_fraction=0.1),
        TrainingConfig(train_steps=20, eval_every=20, average_decay=0.9),
    )
    build, models = run.build_model, []

    def build_model(*arguments):
        models.append(build(*arguments))
        return models[0]

    with mock.patch.object(run, "build_model", build_model):
        run.run(config, OutputConfig(model_dir=str(folder)))
    return read_back(folder, models[0], config.data)


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
    """A run in bfloat16 on images of many sizes, of which evaluation shows the middle.

    It has not begun to learn: scores of 0 and 1 would be the same too easily.
    """
    folder = tmp_path_factory.mktemp("runs") / "photos"
    config = RunConfig(
        splits.resolve(DataConfig(dataset=f"folder:{photos}", data_dir=data_dir)),
        TrainingConfig(image_size=24, precision="bfloat16", augmentation="imagenet"),
        method="vanilla",
    )
    model = run.build_model(config, (24, 24, 3), 2, 32)
    written = RunFolder(folder, config)
    with written.held():
        written.write_model(
            class_names=["blue", "red"],
            image_shape=[24, 24, 3],
            stored_image_shape=[None, None, 3],
            augmentation="imagenet",
            split_sha256="",
        )
        Checkpoints(model, folder / "checkpoints", keep=1).save(0, {})
    return read_back(folder, model, config.data)

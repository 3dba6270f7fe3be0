"""Presets of KerasHub: tiny ones with random weights, saved here. Needs the extra keras_hub."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import mentormix_tf as mm
from mentormix_tf import networks
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.errors import InputError
from mentormix_tf.training.run import run as train

IMAGES = np.random.RandomState(0).uniform(0, 255, (3, 16, 16, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def hub():
    return pytest.importorskip("keras_hub")


@pytest.fixture(scope="module")
def dino(hub, tmp_path_factory):
    """A preset of a vision transformer with a class token, and its backbone."""
    folder = tmp_path_factory.mktemp("hub") / "dino"
    backbone = hub.models.DINOV2Backbone(
        patch_size=4, num_layers=2, hidden_dim=16, num_heads=2, intermediate_dim=32,
        image_shape=(16, 16, 3), position_embedding_shape=(16, 16, 3),
    )  # fmt: skip
    backbone.save_to_preset(folder)
    scaling = dict(scale=[1 / 51, 1 / 60, 1 / 70], offset=[-2.0, -1.0, 0.0])
    hub.layers.DINOV2ImageConverter(image_size=(16, 16), **scaling).save_to_preset(folder)
    return folder, backbone


def test_a_vision_transformer(dino):
    """The logits are those of the new layer on the class token of images scaled as the preset's."""
    folder, backbone = dino
    network = networks.build(f"keras_hub:{folder}", (16, 16, 3), 5)
    kernel, bias = network.layers[-1].get_weights()
    scaled = IMAGES * np.float32([1 / 51, 1 / 60, 1 / 70]) + np.float32([-2, -1, 0])
    tokens = keras.ops.convert_to_numpy(backbone({"images": scaled}, training=False))
    assert tokens.shape == (3, 17, 16)
    logits = keras.ops.convert_to_numpy(network(IMAGES, training=False))
    np.testing.assert_allclose(logits, tokens[:, 0] @ kernel + bias, atol=1e-5)


def test_another_preprocessing_replaces_the_presets(dino):
    folder, backbone = dino
    network = networks.build(f"keras_hub:{folder}", (16, 16, 3), 5, preprocessing="0-1")
    kernel, bias = network.layers[-1].get_weights()
    tokens = keras.ops.convert_to_numpy(backbone({"images": IMAGES / 255}, training=False))
    logits = keras.ops.convert_to_numpy(network(IMAGES, training=False))
    np.testing.assert_allclose(logits, tokens[:, 0] @ kernel + bias, atol=1e-5)


def test_feature_maps_and_grayscale(hub, tmp_path):
    backbone = hub.models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[3], stackwise_num_filters=[64],
        stackwise_num_blocks=[1], stackwise_num_strides=[1], block_type="basic_block",
    )  # fmt: skip
    backbone.save_to_preset(tmp_path / "resnet")
    network = networks.build(f"keras_hub:{tmp_path}/resnet", (16, 16, 1), 5)
    kernel, bias = network.layers[-1].get_weights()
    gray = IMAGES[..., :1]
    maps = keras.ops.convert_to_numpy(backbone(np.repeat(gray, 3, axis=-1), training=False))
    logits = keras.ops.convert_to_numpy(network(gray, training=False))
    np.testing.assert_allclose(logits, maps.mean(axis=(1, 2)) @ kernel + bias, atol=1e-4)


@pytest.mark.parametrize("train_layers", ["head", "all"])
def test_a_run_needs_the_preset_no_more(dino, train_layers, tmp_path):
    folder, _ = dino
    training = TrainingConfig(
        network=f"keras_hub:{folder}", image_size=16, train_layers=train_layers,
        learning_rate=0.01, train_steps=20, eval_every=20,
    )  # fmt: skip
    config = RunConfig(DataConfig(data_dir=str(tmp_path / "data")), training)
    result = train(config, OutputConfig(tmp_path / "run"))
    folder.rename(folder.with_name("gone"))
    try:
        accuracy = mm.open_run(tmp_path / "run").evaluate().report["accuracy"]
    finally:
        folder.with_name("gone").rename(folder)
    assert accuracy == pytest.approx(result["final_accuracy"])


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("keras_hub:missing/preset", (16, 16, 3), "can't be loaded for images of 16x16 pixels"),
        ("keras_hub:", (16, 16, 3), "can't be loaded"),
        ("keras_hub:DINO", (16, 16, 2), "can't take images of 2 channels"),
    ],
)
def test_what_is_refused(dino, name, shape, message):
    with pytest.raises(InputError, match=message):
        networks.build(name.replace("DINO", str(dino[0])), shape, 5)


def test_text_is_refused(hub, tmp_path):
    hub.models.BertBackbone(
        vocabulary_size=10, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=8
    ).save_to_preset(tmp_path / "bert")
    with pytest.raises(InputError, match="must take images alone"):
        networks.build(f"keras_hub:{tmp_path}/bert", (16, 16, 3), 5)


def test_without_the_package():
    code = (
        "import sys; sys.modules['keras_hub'] = None\n"
        "from mentormix_tf import networks\n"
        "networks.check('keras_hub:dinov2_small')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "needs the package keras-hub" in done.stderr
    assert "pip install 'mentormix-tf[keras_hub]'" in done.stderr

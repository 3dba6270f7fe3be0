"""Networks from .keras files: heads, preprocessing, precision, and files that are refused."""

import hashlib
import json
import os

import keras
import numpy as np
import pytest
from keras import layers, ops

from mentormix_tf import InputError, networks
from mentormix_tf.networks import from_file, trained_layers

SHAPE = (8, 8, 3)
IMAGES = np.random.RandomState(0).randint(256, size=(5, *SHAPE)).astype(np.float32)


def features(shape=SHAPE, pooled=True):
    """A small network without a head."""
    stack = [layers.Input(shape), layers.Rescaling(1 / 255.0)]
    stack += [layers.Conv2D(6, 3, activation="relu"), layers.BatchNormalization()]
    return keras.Sequential([*stack, *([layers.GlobalAveragePooling2D()] if pooled else [])])


def saved(network, folder, name="my.keras"):
    network.save(folder / name)
    return str(folder / name)


def randomized(network):
    random = np.random.RandomState(1)
    network.set_weights([random.uniform(0.1, 1.0, size=w.shape) for w in network.get_weights()])
    return network


@pytest.mark.parametrize("functional", [True, False])
@pytest.mark.parametrize("kind", ["linear", "softmax", "activation", "layer", "no bias"])
def test_the_right_number_of_classes_keeps_its_weights(kind, functional, tmp_path):
    dense = layers.Dense(4, use_bias=kind != "no bias")
    after = {"activation": [layers.Activation("softmax")], "layer": [layers.Softmax()]}
    if kind == "softmax":
        dense = layers.Dense(4, activation="softmax")
    original = randomized(keras.Sequential([features(), dense, *after.get(kind, [])]))
    if functional:
        outputs = images = layers.Input(SHAPE)
        for layer in original.layers:
            outputs = layer(outputs)
        original = keras.Model(images, outputs)
    network = networks.build(saved(original, tmp_path), SHAPE, 4)
    logits, expected = network(IMAGES), original(IMAGES).numpy()
    given = logits if kind in ("linear", "no bias") else ops.softmax(logits)
    np.testing.assert_allclose(given, expected, rtol=1e-5)
    assert not np.allclose(ops.sum(logits, axis=1), 1.0)


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("head", ["none", "hidden", "of another number of classes"])
def test_a_new_head(pooled, head, tmp_path):
    original = randomized(features(pooled=pooled))
    expected = original(IMAGES).numpy()
    expected = expected if pooled else expected.mean(axis=(1, 2))
    pool = [] if pooled else [layers.GlobalAveragePooling2D()]
    if head == "hidden":
        original = keras.Sequential([original, *pool, layers.Dense(6, activation="relu")])
        expected = original(IMAGES).numpy()
    elif head != "none":
        original = keras.Sequential([original, *pool, layers.Dense(7, activation="softmax")])
    network = networks.build(saved(original, tmp_path), SHAPE, 4)
    kernel, bias = network.layers[-1].get_weights()
    assert kernel.shape == (6, 4) and network.name == "my"
    np.testing.assert_allclose(network(IMAGES), expected @ kernel + bias, rtol=1e-4, atol=1e-6)


def test_logits_without_a_dense_layer_are_taken_as_they_are(tmp_path):
    stack = [layers.Input(SHAPE), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()]
    original = keras.Sequential(stack)
    network = networks.build(saved(original, tmp_path), SHAPE, 4)
    np.testing.assert_allclose(network(IMAGES), original(IMAGES), rtol=1e-6)


@pytest.mark.parametrize(
    ("preprocessing", "scaled"),
    [
        ("none", IMAGES),
        ("0-1", IMAGES / 255),
        ("-1-1", IMAGES / 127.5 - 1),
        ("imagenet", (IMAGES / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
    ],
)
def test_preprocessing(preprocessing, scaled, tmp_path):
    original = keras.Sequential([layers.Input(SHAPE), layers.Flatten(), layers.Dense(4)])
    path = saved(randomized(original), tmp_path)
    network = networks.build(path, SHAPE, 4, preprocessing=preprocessing)
    np.testing.assert_allclose(network(IMAGES), original(scaled), rtol=1e-4, atol=1e-3)


def test_gray_images_for_a_network_of_color_images(tmp_path):
    original = randomized(keras.Sequential([features(), layers.Dense(4)]))
    network = networks.build(saved(original, tmp_path), (8, 8, 1), 4)
    gray = IMAGES[..., :1]
    np.testing.assert_allclose(network(gray), original(gray.repeat(3, axis=3)), rtol=1e-5)


@pytest.mark.parametrize("stored", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_layers_compute_in_the_precision_of_the_run(stored, policy, tmp_path):
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(stored)
        original = randomized(keras.Sequential([features(), layers.Dense(4)]))
        path = saved(original, tmp_path)
        keras.config.set_dtype_policy(policy)
        network = networks.build(path, SHAPE, 4)
    finally:
        keras.config.set_dtype_policy(before)
    assert {w.dtype for w in network.weights} == {"float32"}
    convolution = next(
        layer for layer in trained_layers.inside(network) if isinstance(layer, layers.Conv2D)
    )
    assert convolution.compute_dtype == policy.removeprefix("mixed_")
    tolerance = 1e-5 if stored == policy == "float32" else 2e-2
    expected = np.asarray(ops.cast(original(IMAGES), "float32"))
    np.testing.assert_allclose(ops.cast(network(IMAGES), "float32"), expected, rtol=tolerance)


def test_all_layers_are_trainable_again(tmp_path):
    original = keras.Sequential([features(), layers.Dense(4)])
    original.layers[0].trainable = False
    network = networks.build(saved(original, tmp_path), SHAPE, 4)
    assert len(network.trainable_weights) == 6  # two of each layer but the scaling


class Own(layers.Layer):
    def call(self, inputs):
        return inputs


def two_inputs():
    inputs = [layers.Input(SHAPE), layers.Input(SHAPE)]
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(inputs[0] + inputs[1])))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (keras.Sequential([layers.Input(SHAPE), layers.Lambda(lambda x: x)]), "holds code, such"),
        (keras.Sequential([layers.Input(SHAPE), Own()]), "a layer of a class that Keras doesn't"),
        (two_inputs(), "with one input and one output"),
        (keras.Sequential([layers.Input((5,)), layers.Dense(4)]), "not images of shape"),
        (features((16, 16, 3)), r"of 16x16 pixels, not of 8x8: use --image_size=16\."),
        (features((8, 8, 1)), "images of 1 channels, but these have 3"),
        (features((8, 8, 4)), "images of 4 channels, but these have 3"),
        (
            keras.Sequential([layers.Input(SHAPE), layers.Reshape((8, 24))]),
            r"returns values of shape \(None, 8, 24\)",
        ),
    ],
)
def test_networks_that_are_refused(network, message, tmp_path):
    with pytest.raises(InputError, match=message):
        networks.build(saved(network, tmp_path), SHAPE, 4)


@pytest.mark.parametrize("contents", [b"", b"PK", b"no network", None])
def test_files_that_are_refused(contents, tmp_path):
    path = tmp_path / "my.keras"
    if contents is None:
        path.write_bytes(
            (tmp_path / saved(features(), tmp_path, "whole.keras")).read_bytes()[:-900]
        )
    else:
        path.write_bytes(contents)
    with pytest.raises(InputError, match=r"can't be read: name a file that keras\.Model\.save"):
        networks.build(str(path), SHAPE, 4)


def test_what_is_no_file(tmp_path):
    (tmp_path / "folder.keras").mkdir()
    os.mkfifo(tmp_path / "pipe.keras")
    for name in ("nothing.keras", "folder.keras", "pipe.keras"):
        with pytest.raises(InputError, match=r"does not exist: name a file"):
            networks.check(str(tmp_path / name))
        with pytest.raises(InputError, match=r"can't be read: "):
            networks.sha256(str(tmp_path / name))


def test_a_file_in_the_home_folder(tmp_path, monkeypatch):
    saved(features(), tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    networks.check("~/my.keras")
    expected = hashlib.sha256((tmp_path / "my.keras").read_bytes()).hexdigest()
    assert networks.sha256("~/my.keras") == expected and networks.sha256("small_cnn") == ""
    assert networks.build("~/my.keras", SHAPE, 4).output_shape == (None, 4)


def test_settings_that_do_not_fit(tmp_path):
    path = saved(features((8, 8, 1)), tmp_path)
    with pytest.raises(InputError, match="has its own weights"):
        networks.build(path, (8, 8, 1), 4, pretrained=True)
    with pytest.raises(InputError, match="preprocessing=2 is unknown: choose one of none, 0-1"):
        networks.build(path, (8, 8, 1), 4, preprocessing="2")
    with pytest.raises(InputError, match="preprocessing=imagenet is for color images"):
        networks.build(path, (8, 8, 1), 4, preprocessing="imagenet")
    with pytest.raises(InputError, match="network=small_cnn scales images itself"):
        networks.build("small_cnn", SHAPE, 4, preprocessing="0-1")


def test_json_without_weights(tmp_path):
    original = randomized(keras.Sequential([features(), layers.Dense(7)]))
    network = networks.build(saved(original, tmp_path), (8, 8, 1), 4, preprocessing="imagenet")
    path = tmp_path / "network.json"
    path.write_text(network.to_json())
    again = from_file.from_json(path)
    again.set_weights(network.get_weights())
    gray = IMAGES[..., :1]
    np.testing.assert_allclose(again(gray), network(gray), rtol=1e-6)


def test_json_that_is_refused(tmp_path):
    path = tmp_path / "network.json"
    with pytest.raises(InputError, match=r"network\.json can't be read: No such file"):
        from_file.from_json(path)
    network = keras.Sequential([layers.Input(SHAPE), layers.Lambda(lambda x: x)])
    for text in ("", "[]", "{}", json.dumps({"class_name": "os.system"}), network.to_json()):
        path.write_text(text)
        with pytest.raises(InputError, match="can't be read as a network: restore it"):
            from_file.from_json(path)


@pytest.mark.parametrize("name", ["a b", "é", "a:b", "it's"])
def test_names_of_layers_that_tensorflow_cannot_use(tmp_path, name):
    stack = [layers.Input((8, 8, 3)), layers.Conv2D(2, 3, name=name), layers.Flatten()]
    keras.Sequential(stack).save(tmp_path / "my.keras")
    with pytest.raises(InputError, match="which TensorFlow can't use: rename it"):
        networks.build(str(tmp_path / "my.keras"), (8, 8, 3), 5)

"""Frozen layers: which they are, and that training leaves them as they are."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from mentormix_tf import InputError, methods
from mentormix_tf.networks import trained_layers


def network(*names):
    """A network of dense layers; a name in a list is of a network inside the network."""
    stack = [layers.Input((3,))]
    for name in names:
        if isinstance(name, list):
            inner = [layers.Dense(3, name=each) for each in name]
            stack.append(keras.Sequential([layers.Input((3,)), *inner]))
        else:
            stack.append(layers.Dense(3, name=name))
    return keras.Sequential([*stack, layers.ReLU()])


NAMES = ("stem", "block1_a", "block1_b", ["block2a_conv", "block2a_bn", "block2b_conv"], "top")


@pytest.mark.parametrize(
    ("train_layers", "trained"),
    [
        ("all", ["stem", "block1_a", "block1_b", "block2a_conv", "block2a_bn", "block2b_conv"]),
        ("head", []),
        ("1", ["block2b_conv"]),
        ("2", ["block2a_conv", "block2a_bn", "block2b_conv"]),
        ("3", ["block1_a", "block1_b", "block2a_conv", "block2a_bn", "block2b_conv"]),
        ("4", ["stem", "block1_a", "block1_b", "block2a_conv", "block2a_bn", "block2b_conv"]),
    ],
)
def test_blocks(train_layers, trained):
    made = network(*NAMES)
    trained_layers.freeze_all_but(made, train_layers)
    found = [weight.path.split("/")[-2] for weight in made.trainable_weights[::2]]
    assert found == [*trained, "top"]
    assert [layer.name for layer in trained_layers.backbone(made)][-1] == "block2b_conv"


@pytest.mark.parametrize(
    ("names", "blocks"),
    [
        (["conv5_block2_3_conv", "conv5_block3_1_conv", "conv5_block3_2_conv"], 2),  # ResNet
        (["block7a_expand_conv", "block7a_bn", "top_conv"], 2),  # EfficientNet
        (["stage_3_block_1_dense", "stage_3_block_2_dense", "stage_3_block_2_norm"], 2),  # ConvNeXt
        (["_blocks-14-_bn2", "_blocks-15-_expand_conv", "_blocks-15-_bn0"], 2),
        (["conv2d", "batch_normalization", "conv2d_1"], 3),
    ],
)
def test_names_of_blocks(names, blocks):
    with pytest.raises(InputError, match=f"has {blocks} blocks before its head"):
        trained_layers.freeze_all_but(network(*names, "top"), "9")


def test_one_layer():
    with pytest.raises(InputError, match="one layer with weights, so none can be frozen"):
        trained_layers.freeze_all_but(network("top"), "head")


def test_frozen_batch_norm_keeps_what_it_has_in_networks_inside_the_network():
    inner = keras.Sequential([layers.Input((3,)), layers.Dense(3), layers.BatchNormalization()])
    stack = [layers.Input((3,)), inner, layers.BatchNormalization(), layers.Dense(2)]
    made = keras.Sequential(stack)
    trained_layers.freeze_batch_norm(made)
    before = made.get_weights()
    model = methods.build("vanilla", made, 2, 8)
    model.compile(keras.optimizers.SGD(0.3))
    images = np.random.RandomState(0).normal(3.0, size=(8, 3)).astype(np.float32)
    model.fit(images, np.arange(8) % 2, epochs=2, verbose=0)
    trains = [not np.array_equal(*pair) for pair in zip(before, made.get_weights(), strict=True)]
    assert trains == [True, True] + 2 * 4 * [False] + [True, True]


def test_no_batch_norm():
    with pytest.raises(InputError, match="freeze_batch_norm=True: the network "):
        trained_layers.freeze_batch_norm(network(*NAMES))


QUICK = ("mentormix", "o2u")


@pytest.mark.parametrize(
    "method",
    [pytest.param(m, marks=[] if m in QUICK else pytest.mark.slow) for m in methods.METHODS],
)
def test_frozen_layers_keep_their_values(method):
    """On one replica and on two, bit for bit; the head trains."""
    command = [sys.executable, "-m", "tests.networks.frozen_layers", method]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "frozen", "trained", "2", "frozen", "trained"]

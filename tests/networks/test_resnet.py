"""The ResNets compared with the numbers in their papers, and with independent forward passes."""

import functools

import keras
import numpy as np
import pytest
from keras import layers

from mentormix_tf import networks


@pytest.fixture(scope="module")
def resnets():
    names = ("resnet32", "resnet32_thin", "resnet9_thin", "preact_resnet18", "wide_resnet_28_10")
    keras.utils.set_random_seed(0)
    return {name: networks.build(name, (32, 32, 3), 10) for name in names}


@pytest.mark.parametrize(
    ("name", "millions", "giga_macs", "convolutions"),
    [
        ("resnet32", 29.4, 4.3, 31),
        ("resnet32_thin", 0.46, 0.07, 31),
        ("resnet9_thin", 0.93, 0.01, 8),
        ("preact_resnet18", 11.2, 0.56, 17 + 3),
        ("wide_resnet_28_10", 36.5, 5.2, 25 + 3),
    ],
)
def test_sizes_for_cifar(resnets, name, millions, giga_macs, convolutions):
    network = resnets[name]
    parameters = sum(np.prod(weight.shape) for weight in network.trainable_weights)
    assert _rounded(parameters / 1e6, millions) == millions
    assert _rounded(_multiply_adds(network) / 1e9, giga_macs) == giga_macs
    entry = networks.NETWORKS[name]
    assert entry.parameters == parameters
    assert entry.giga_macs == round(_multiply_adds(network) / 1e9, 2)
    kernels = [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]
    assert len(kernels) == convolutions and not any(layer.use_bias for layer in kernels)


def _rounded(value, like):
    return round(value, len(str(like).split(".")[1]))


def _multiply_adds(network):
    """Counts the multiplications of kernels with all positions, from the layers' output shapes."""
    total = 0
    for layer in network.layers:
        if isinstance(layer, layers.Conv2D):
            _, height, width, filters = layer.output.shape
            rows, columns, channels, _ = layer.kernel.shape
            total += height * width * filters * rows * columns * channels
        if isinstance(layer, layers.Dense):
            total += layer.output.shape[-1] * layer.input.shape[-1]
    return total


def test_weights_are_drawn_anew_by_he_and_follow_the_seed(resnets):
    def kernels(network):
        return [
            layer.kernel.numpy() for layer in network.layers if isinstance(layer, layers.Conv2D)
        ]

    drawn = kernels(resnets["resnet32_thin"])
    assert not np.array_equal(drawn[1], drawn[2])
    standard = [kernel / np.sqrt(2.0 / (9 * kernel.shape[-1])) for kernel in drawn]
    for kernel in standard:
        # Four standard errors of a normal sample's standard deviation.
        assert abs(kernel.std() - 1.0) < 4.0 / np.sqrt(2 * kernel.size)
    assert max(abs(kernel).max() for kernel in standard) > 4.0  # 2.3 if it were truncated
    twice = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        twice.append(kernels(networks.build("resnet32_thin", (8, 8, 1), 2)))
    assert all(map(np.array_equal, *twice))


def test_batch_norms_are_those_of_the_released_code(resnets):
    for network in resnets.values():
        norms = [layer for layer in network.layers if isinstance(layer, layers.BatchNormalization)]
        assert {(layer.momentum, layer.epsilon) for layer in norms} == {(0.9, 1e-3)}


@pytest.mark.parametrize(
    "name", ["resnet32", "resnet32_thin", "resnet9_thin", "preact_resnet18", "wide_resnet_28_10"]
)
def test_network_computes_what_its_source_says(name, resnets):
    """An independent forward pass in plain operations, with the network's own weights."""
    network = resnets[name]
    # With its initial weights, BatchNorm does almost nothing and its position does not matter.
    random = np.random.RandomState(0)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    images = random.randint(256, size=(2, 32, 32, 3)).astype(np.float32)
    forward_pass = {
        "resnet32": _released_resnet32,
        "resnet32_thin": _he_resnet32,
        "resnet9_thin": _thin_resnet9,
        "preact_resnet18": functools.partial(_preactivation, widths=(64, 128, 256, 512), units=2),
        "wide_resnet_28_10": functools.partial(_preactivation, widths=(160, 320, 640), units=4),
    }[name]
    expected = forward_pass(_Weights(network), images / 127.5 - 1.0)
    assert expected.numpy().std(axis=0).min() > 0.0
    tolerance = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(network(images), expected, rtol=0.0, atol=tolerance)


class _Weights:
    """Returns the layers of each kind in the order of the forward pass."""

    def __init__(self, network):
        convolutions = [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]
        self.kernels = {
            size: iter([x.kernel for x in convolutions if x.kernel_size == (size, size)])
            for size in (1, 3)
        }
        self.norms = iter([x for x in network.layers if isinstance(x, layers.BatchNormalization)])
        self.dense = network.layers[-1]

    def convolve(self, x, stride=1, size=3):
        return keras.ops.conv(x, next(self.kernels[size]), strides=stride, padding="same")

    def normalize(self, x):
        gamma, beta, mean, variance = next(self.norms).get_weights()
        return gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta

    def logits(self, x):
        return keras.ops.mean(x, axis=(1, 2)) @ self.dense.kernel + self.dense.bias


def _released_resnet32(weights, x):
    def leaky(x):
        return keras.ops.where(x < 0.0, 0.1 * x, x)

    x = weights.convolve(x)
    width = 64
    for stage in (1, 2, 3):
        for unit in range(5):
            stride = 2 if (stage, unit) in ((2, 0), (3, 0)) else 1
            if (stage, unit) == (1, 0):
                x = branch = weights.normalize(leaky(x))
            else:
                branch = leaky(weights.normalize(x))
            branch = leaky(weights.normalize(weights.convolve(branch, stride)))
            branch = weights.convolve(branch)
            if unit == 0:
                x = _mean_of_squares(x) if stride == 2 else x
                empty = keras.ops.zeros((*x.shape[:3], width // 2))
                x, width = keras.ops.concatenate([empty, x, empty], axis=-1), 2 * width
            x = x + branch
    return weights.logits(leaky(weights.normalize(x)))


def _mean_of_squares(x):
    batch, height, width, channels = x.shape
    squares = keras.ops.reshape(x, (batch, height // 2, 2, width // 2, 2, channels))
    return keras.ops.mean(squares, axis=(2, 4))


def _he_resnet32(weights, x):
    x = keras.ops.relu(weights.normalize(weights.convolve(x)))
    for width in (16, 32, 64):
        for unit in range(5):
            stride = 2 if width > 16 and unit == 0 else 1
            branch = keras.ops.relu(weights.normalize(weights.convolve(x, stride)))
            branch = weights.normalize(weights.convolve(branch))
            if stride == 2:
                x = x[:, ::2, ::2]
                empty = keras.ops.zeros((*x.shape[:3], width // 4))
                x = keras.ops.concatenate([empty, x, empty], axis=-1)
            x = keras.ops.relu(x + branch)
    return weights.logits(x)


def _thin_resnet9(weights, x):
    def activated(x):
        return keras.ops.relu(weights.normalize(x))

    x = activated(weights.convolve(x, stride=2))
    for unit in (True, False, True):
        batch, height, width, channels = (x := weights.convolve(x)).shape
        squares = keras.ops.reshape(x, (batch, height // 2, 2, width // 2, 2, channels))
        x = activated(keras.ops.max(squares, axis=(2, 4)))
        if unit:
            x = x + activated(weights.convolve(activated(weights.convolve(x))))
    return keras.ops.max(x, axis=(1, 2)) @ weights.dense.kernel + weights.dense.bias


def _preactivation(weights, x, widths, units):
    x = weights.convolve(x)
    for width in widths:
        for unit in range(units):
            stride = 2 if width > widths[0] and unit == 0 else 1
            branch = keras.ops.relu(weights.normalize(x))
            if x.shape[-1] != width:
                x = weights.convolve(branch, stride, size=1)
            branch = keras.ops.relu(weights.normalize(weights.convolve(branch, stride)))
            x = x + weights.convolve(branch)
    return weights.logits(keras.ops.relu(weights.normalize(x)))

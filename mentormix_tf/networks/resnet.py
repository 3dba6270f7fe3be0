"""ResNets for small images such as CIFAR's: their stem is one 3x3 convolution.

All have convolutions without biases, BatchNorm with momentum 0.9 and epsilon 1e-3 (as in the
released code; the other papers do not give these), and global pooling before the logits.
Images may have any size; half of an odd size is rounded up.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
from keras import initializers, layers, models, ops

__all__ = [
    "Tensor",
    "preact_resnet18",
    "resnet9_thin",
    "resnet32",
    "resnet32_thin",
    "wide_resnet_28_10",
]

Tensor = Any  # a symbolic tensor, whose operators Keras annotates imprecisely


def resnet32(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Builds the network that the released MentorMix code calls ResNet-32.

    It has little in common with the ResNet-32 of He et al. (`resnet32_thin`): 63 times the
    parameters, pre-activation units as in "Identity Mappings in Deep Residual Networks", leaky
    ReLUs of slope 0.1, and shortcuts that average 2x2 pixels and pad the channels with zeros.
    Source: google-research/mentormix, code/resnet_model.py; the paper, ICML 2020, uses it in its
    CIFAR experiments.

    Args:
        image_shape: `(height, width, channels)`, of any size.
        num_classes: number of logits.

    Returns:
        A model from images `[batch, height, width, channels]` in [0, 255] to logits `[batch,
        num_classes]`; 29.4 M parameters and 4.3 G multiply-additions for 32 x 32 pixels.
    """

    def leaky_relu(x):
        return layers.LeakyReLU(negative_slope=0.1)(x)

    images, x = _stem(image_shape, 64)
    # Only here does the released code put the activation before BatchNorm.
    x = activated = _batch_norm(leaky_relu(x))
    for filters, stride in _units((128, 256, 512), repeats=5):
        shortcut = _pad_channels(layers.AveragePooling2D(stride, padding="same")(x), filters)
        x = shortcut + _two_convolutions(activated, filters, stride, leaky_relu)
        activated = leaky_relu(_batch_norm(x))
    return _with_logits("resnet32", images, activated, num_classes)


def resnet32_thin(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Builds ResNet-32 for CIFAR, with shortcuts without parameters (option A).

    Source: He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
    section 4.2 with n = 5.

    Args:
        image_shape: `(height, width, channels)`, of any size.
        num_classes: number of logits.

    Returns:
        A model from images `[batch, height, width, channels]` in [0, 255] to logits `[batch,
        num_classes]`; 0.46 M parameters.
    """
    images, x = _stem(image_shape, 16)
    x = _relu(_batch_norm(x))
    for filters, stride in _units((16, 32, 64), repeats=5):
        shortcut = _pad_channels(x[:, ::stride, ::stride], filters)
        x = _relu(shortcut + _batch_norm(_two_convolutions(x, filters, stride, _relu)))
    return _with_logits("resnet32_thin", images, x, num_classes)


def resnet9_thin(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Builds a thin ResNet-9, for training on CPUs.

    Three stages of 48, 96 and 192 channels, each of a convolution and a max pooling, the first and
    the last followed by a residual unit. Source: Page, "How to Train Your ResNet", 2018, whose
    network is 2.7 times as wide. To save time on a CPU, the stem has a stride of 2, and pooling
    comes before BatchNorm, as in Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024.

    Args:
        image_shape: `(height, width, channels)`, of any size.
        num_classes: number of logits.

    Returns:
        A model from images `[batch, height, width, channels]` in [0, 255] to logits `[batch,
        num_classes]`; 0.93 M parameters.
    """
    images, x = _stem(image_shape, 24, stride=2)
    x = _relu(_batch_norm(x))
    for filters, has_unit in ((48, True), (96, False), (192, True)):
        x = layers.MaxPooling2D(padding="same")(_convolution(x, filters))
        x = _relu(_batch_norm(x))
        if has_unit:
            x = x + _relu(_batch_norm(_two_convolutions(x, filters, 1, _relu)))
    return _with_logits("resnet9_thin", images, x, num_classes, layers.GlobalMaxPooling2D())


def preact_resnet18(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Builds ResNet-18 with pre-activation units and a stem for small images.

    Source: He, Zhang, Ren and Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016,
    section 3, for the units; "Deep Residual Learning for Image Recognition", Table 1, for the
    widths of ResNet-18. That paper uses it only on ImageNet. With a 3x3 convolution in place of the
    first 7x7 convolution and its pooling, it is a common baseline on CIFAR.

    Args:
        image_shape: `(height, width, channels)`, of any size.
        num_classes: number of logits.

    Returns:
        A model from images `[batch, height, width, channels]` in [0, 255] to logits `[batch,
        num_classes]`; 11.2 M parameters.
    """
    images, x = _stem(image_shape, 64)
    x = _preactivation_units(x, (64, 128, 256, 512), repeats=2)
    return _with_logits("preact_resnet18", images, x, num_classes)


def wide_resnet_28_10(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Builds a wide ResNet of 28 layers, ten times as wide as the original, without dropout.

    Source: Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016, Table 1 with N = 4 and
    k = 10.

    Args:
        image_shape: `(height, width, channels)`, of any size.
        num_classes: number of logits.

    Returns:
        A model from images `[batch, height, width, channels]` in [0, 255] to logits `[batch,
        num_classes]`; 36.5 M parameters.
    """
    images, x = _stem(image_shape, 16)
    x = _preactivation_units(x, (160, 320, 640), repeats=4)
    return _with_logits("wide_resnet_28_10", images, x, num_classes)


def _preactivation_units(x: Tensor, widths: Sequence[int], repeats: int) -> Tensor:
    """Units of (BatchNorm, ReLU, convolution) twice, followed by a final BatchNorm and ReLU.

    Where the width changes, the shortcut is a 1x1 convolution of the output of the unit's first
    BatchNorm and ReLU.
    """
    for filters, stride in _units(widths, repeats):
        activated = _relu(_batch_norm(x))
        same_width = x.shape[-1] == filters
        shortcut = x if same_width else _convolution(activated, filters, stride, size=1)
        x = shortcut + _two_convolutions(activated, filters, stride, _relu)
    return _relu(_batch_norm(x))


def _units(widths: Sequence[int], repeats: int) -> Iterator[tuple[int, int]]:
    """The width and stride of each unit: every stage but the first starts by halving the image."""
    for stage, filters in enumerate(widths):
        for unit in range(repeats):
            yield filters, 2 if stage > 0 and unit == 0 else 1


def _stem(
    image_shape: tuple[int, int, int], filters: int, stride: int = 1
) -> tuple[Tensor, Tensor]:
    images = layers.Input(image_shape)
    return images, _convolution(layers.Rescaling(1 / 127.5, offset=-1.0)(images), filters, stride)


def _two_convolutions(
    x: Tensor, filters: int, stride: int, activation: Callable[[Tensor], Tensor]
) -> Tensor:
    x = activation(_batch_norm(_convolution(x, filters, stride)))
    return _convolution(x, filters)


def _convolution(x: Tensor, filters: int, stride: int = 1, size: int = 3) -> Tensor:
    # He et al. 2015, section 2.2, by fan-out and not truncated like in the released code. Each
    # layer needs its own initializer, since an initializer returns the same numbers at every call.
    initializer: Any = initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    return layers.Conv2D(
        filters, size, stride, padding="same", use_bias=False, kernel_initializer=initializer
    )(x)


def _batch_norm(x: Tensor) -> Tensor:
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-3)(x)


def _relu(x: Tensor) -> Tensor:
    return layers.ReLU()(x)


def _pad_channels(x: Tensor, filters: int) -> Tensor:
    """Adds channels of zeros, half of them on each side."""
    missing = (filters - x.shape[-1]) // 2
    return ops.pad(x, [[0, 0], [0, 0], [0, 0], [missing, missing]]) if missing else x


def _with_logits(
    name: str, images: Tensor, x: Tensor, num_classes: int, pooling: Any = None
) -> keras.Model:
    x = (pooling or layers.GlobalAveragePooling2D())(x)
    return models.Model(images, layers.Dense(num_classes)(x), name=name)

"""ResNets for small images, CIFAR's first of all: their stems are one 3x3 convolution of stride 1.

All have convolutions without biases, BatchNorm with momentum 0.9 and epsilon 1e-3 (the released
code's; the papers of the others do not say), and global average pooling before the logits. Images
may have any size: an odd one is halved upwards.
"""

from keras import initializers, layers, models, ops


def resnet32(image_shape, num_classes):
    """The network that the released MentorMix code calls ResNet-32.

    It has little in common with the ResNet-32 of He et al. (`resnet32_thin`): 63 times the
    parameters, pre-activation units as in "Identity Mappings in Deep Residual Networks", leaky
    ReLUs of slope 0.1, and shortcuts that average 2x2 pixels and pad the channels with zeros.
    Source: google-research/mentormix, code/resnet_model.py. Of the paper, ICML 2020, it is the
    network of the CIFAR experiments.

    Args:
        image_shape: `(height, width, channels)`, of any size.
        num_classes: number of logits.

    Returns:
        A `keras.Model` from images in [0, 255] to logits; 29.4 M parameters and 4.3 G
        multiply-additions for 32 x 32 pixels.
    """

    def leaky_relu(x):
        return layers.LeakyReLU(negative_slope=0.1)(x)

    images, x = _stem(image_shape, 64)
    # The released code activates before it normalises, here and nowhere else.
    x = activated = _batch_norm(leaky_relu(x))
    for filters, stride in _units((128, 256, 512), repeats=5):
        shortcut = _pad_channels(layers.AveragePooling2D(stride, padding="same")(x), filters)
        x = shortcut + _two_convolutions(activated, filters, stride, leaky_relu)
        activated = leaky_relu(_batch_norm(x))
    return _with_logits("resnet32", images, activated, num_classes)


def resnet32_thin(image_shape, num_classes):
    """ResNet-32 for CIFAR, with shortcuts that have no parameters (option A).

    Source: He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
    section 4.2 with n = 5.

    Args:
        image_shape: `(height, width, channels)`, of any size.
        num_classes: number of logits.

    Returns:
        A `keras.Model` from images in [0, 255] to logits; 0.46 M parameters.
    """
    images, x = _stem(image_shape, 16)
    x = _relu(_batch_norm(x))
    for filters, stride in _units((16, 32, 64), repeats=5):
        shortcut = _pad_channels(x[:, ::stride, ::stride], filters)
        x = _relu(shortcut + _batch_norm(_two_convolutions(x, filters, stride, _relu)))
    return _with_logits("resnet32_thin", images, x, num_classes)


def preact_resnet18(image_shape, num_classes):
    """ResNet-18 with pre-activation units, and a stem for small images.

    Source: He, Zhang, Ren and Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016,
    section 3 for the units; the widths are ResNet-18's in "Deep Residual Learning for Image
    Recognition", Table 1. That paper has it for ImageNet only: on CIFAR, where its first 7x7
    convolution and its pooling give way to a 3x3 convolution, it is a common baseline.

    Args:
        image_shape: `(height, width, channels)`, of any size.
        num_classes: number of logits.

    Returns:
        A `keras.Model` from images in [0, 255] to logits; 11.2 M parameters.
    """
    images, x = _stem(image_shape, 64)
    x = _preactivation_units(x, (64, 128, 256, 512), repeats=2)
    return _with_logits("preact_resnet18", images, x, num_classes)


def wide_resnet_28_10(image_shape, num_classes):
    """Wide ResNet of 28 layers, ten times as wide as the original, without dropout.

    Source: Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016, Table 1 with N = 4 and
    k = 10.

    Args:
        image_shape: `(height, width, channels)`, of any size.
        num_classes: number of logits.

    Returns:
        A `keras.Model` from images in [0, 255] to logits; 36.5 M parameters.
    """
    images, x = _stem(image_shape, 16)
    x = _preactivation_units(x, (160, 320, 640), repeats=4)
    return _with_logits("wide_resnet_28_10", images, x, num_classes)


def _preactivation_units(x, widths, repeats):
    """Units of (BatchNorm, ReLU, convolution) twice, and a last BatchNorm and ReLU.

    Where the width changes, the shortcut is a 1x1 convolution of what the unit's first BatchNorm
    and ReLU give.
    """
    for filters, stride in _units(widths, repeats):
        activated = _relu(_batch_norm(x))
        same_width = x.shape[-1] == filters
        shortcut = x if same_width else _convolution(activated, filters, stride, size=1)
        x = shortcut + _two_convolutions(activated, filters, stride, _relu)
    return _relu(_batch_norm(x))


def _units(widths, repeats):
    """The width and stride of each unit: every stage but the first begins by halving the image."""
    for stage, filters in enumerate(widths):
        for unit in range(repeats):
            yield filters, 2 if stage > 0 and unit == 0 else 1


def _stem(image_shape, filters):
    images = layers.Input(image_shape)
    return images, _convolution(layers.Rescaling(1 / 127.5, offset=-1.0)(images), filters)


def _two_convolutions(x, filters, stride, activation):
    x = activation(_batch_norm(_convolution(x, filters, stride)))
    return _convolution(x, filters)


def _convolution(x, filters, stride=1, size=3):
    # He et al. 2015, section 2.2, as the released code draws it: by fan-out, not truncated. Each
    # layer has its own initializer, since one gives the same numbers whenever it is called.
    initializer = initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    return layers.Conv2D(
        filters, size, stride, padding="same", use_bias=False, kernel_initializer=initializer
    )(x)


def _batch_norm(x):
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-3)(x)


def _relu(x):
    return layers.ReLU()(x)


def _pad_channels(x, filters):
    """Adds channels of zeros, half of them on each side."""
    missing = (filters - x.shape[-1]) // 2
    return ops.pad(x, [[0, 0], [0, 0], [0, 0], [missing, missing]]) if missing else x


def _with_logits(name, images, x, num_classes):
    x = layers.GlobalAveragePooling2D()(x)
    return models.Model(images, layers.Dense(num_classes)(x), name=name)

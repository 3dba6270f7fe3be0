"""Networks by name, for any image size and number of classes.

Each takes images `[batch, height, width, channels]` with values in [0, 255], scales them itself,
and gives logits `[batch, num_classes]`.
"""

from mentormix_tf.errors import InputError
from mentormix_tf.networks.applications import APPLICATIONS, application
from mentormix_tf.networks.resnet import (
    preact_resnet18,
    resnet32,
    resnet32_thin,
    wide_resnet_28_10,
)
from mentormix_tf.networks.small_cnn import small_cnn

NETWORKS = {
    "small_cnn": small_cnn,
    "resnet32": resnet32,
    "resnet32_thin": resnet32_thin,
    "preact_resnet18": preact_resnet18,
    "wide_resnet_28_10": wide_resnet_28_10,
}


def check(name):
    """Raises InputError for the name of no network."""
    if name not in APPLICATIONS and name not in NETWORKS:
        raise InputError(
            f"network={name} is unknown: choose one of {', '.join(NETWORKS)}, or a name from "
            "keras.applications such as resnet50."
        )


def build(name, image_shape, num_classes, pretrained=False):
    """Builds a network.

    Args:
        name: one of `NETWORKS` or of `APPLICATIONS`, the networks of `keras.applications`.
        image_shape: `(height, width, channels)`.
        num_classes: number of logits.
        pretrained: whether to start from ImageNet weights, which `APPLICATIONS` have.

    Returns:
        A built `keras.Model`.

    Raises:
        InputError: the name is not known, the network can't take such images, or it has no
            ImageNet weights or they can't be downloaded.
    """
    check(name)
    if name in APPLICATIONS:
        return application(name, image_shape, num_classes, pretrained)
    if pretrained:
        raise InputError(
            f"pretrained=True: there are no ImageNet weights of network={name}; choose one from "
            "keras.applications such as resnet50, or leave pretrained out."
        )
    return NETWORKS[name](image_shape, num_classes)

"""Networks by name, for any image size and number of classes.

Each takes images `[batch, height, width, channels]` with values in [0, 255], scales them itself,
and gives logits `[batch, num_classes]`.

To add one, write a function of (image_shape, num_classes) in a module of this folder and give it an
entry in `NETWORKS`. The module is imported when the network is first built, so that this registry
needs neither TensorFlow nor Keras; `APPLICATIONS`, the networks of `keras.applications`, need Keras
and are imported when they are first asked for.
"""

import dataclasses
import pkgutil
from typing import TYPE_CHECKING

from mentormix_tf.errors import InputError

if TYPE_CHECKING:
    import keras

__all__ = ["APPLICATIONS", "NETWORKS", "Network", "build", "check", "names"]


@dataclasses.dataclass(frozen=True)
class Network:
    """A network by name; called with (image_shape, num_classes), it builds one.

    Attributes:
        builder: `module:function` in this package, such as `resnet:resnet32`.
        source: where the network comes from, in Markdown, for the docs.
        parameters: number of trainable parameters for images of 32 x 32 x 3 and 10 classes.
        giga_macs: billions of multiply-additions for one such image, forward.
    """

    builder: str
    source: str
    parameters: int
    giga_macs: float

    def __call__(self, image_shape: tuple[int, int, int], num_classes: int) -> "keras.Model":
        return pkgutil.resolve_name(f"{__name__}.{self.builder}")(image_shape, num_classes)


NETWORKS = {
    "small_cnn": Network(
        "small_cnn:small_cnn",
        "ours, for trying things out; 0.10 M parameters for 8 x 8 pixels",
        parameters=591_594,
        giga_macs=0.03,
    ),
    "resnet32": Network(
        "resnet:resnet32",
        "the released MentorMix code, which calls it ResNet-32: the network of the CIFAR "
        "experiments",
        parameters=29_442_378,
        giga_macs=4.31,
    ),
    "resnet32_thin": Network(
        "resnet:resnet32_thin",
        "He et al., [Deep Residual Learning](https://arxiv.org/abs/1512.03385), 2016, section 4.2: "
        "what is usually meant by ResNet-32",
        parameters=464_154,
        giga_macs=0.07,
    ),
    "preact_resnet18": Network(
        "resnet:preact_resnet18",
        "He et al., [Identity Mappings](https://arxiv.org/abs/1603.05027), 2016, with a stem for "
        "small images",
        parameters=11_172_170,
        giga_macs=0.56,
    ),
    "wide_resnet_28_10": Network(
        "resnet:wide_resnet_28_10",
        "Zagoruyko and Komodakis, [Wide Residual Networks](https://arxiv.org/abs/1605.07146), "
        "2016, without dropout",
        parameters=36_479_194,
        giga_macs=5.24,
    ),
}


def __getattr__(name: str):
    if name == "APPLICATIONS":
        return _applications().APPLICATIONS
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def names() -> str:
    """Lists what --network takes."""
    return f"{', '.join(NETWORKS)}, or a name from keras.applications such as resnet50"


def check(name: str) -> None:
    """Raises InputError if no network has this name."""
    if name not in NETWORKS and name not in _applications().APPLICATIONS:
        raise InputError(f"network={name} is unknown: choose one of {names()}.")


def build(
    name: str, image_shape: tuple[int, int, int], num_classes: int, pretrained: bool = False
) -> "keras.Model":
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
    if name not in NETWORKS:
        return _applications().application(name, image_shape, num_classes, pretrained)
    if pretrained:
        raise InputError(
            f"pretrained=True: there are no ImageNet weights of network={name}; choose one from "
            "keras.applications such as resnet50, or leave pretrained out."
        )
    return NETWORKS[name](image_shape, num_classes)


def _applications():
    from mentormix_tf.networks import applications  # not above, since it needs Keras

    return applications

"""Networks by name, for any image size and number of classes.

Each takes images `[batch, height, width, channels]` with values in [0, 255], scales them itself,
and returns logits `[batch, num_classes]`.

To add one, write a function of (image_shape, num_classes) in a module of this folder and add an
entry to `NETWORKS`. The module is imported when the network is first built, so this registry needs
neither TensorFlow nor Keras; `APPLICATIONS`, the networks of `keras.applications`, networks from
files and presets of KerasHub need Keras and are imported on first use.
"""

import dataclasses
import pkgutil
from typing import TYPE_CHECKING, Any

from mentormix_tf.errors import InputError

if TYPE_CHECKING:
    import keras

    from mentormix_tf.networks.applications import APPLICATIONS

__all__ = [
    "APPLICATIONS",
    "NETWORKS",
    "Network",
    "build",
    "check",
    "is_file",
    "is_preset",
    "keeps_layers",
    "names",
    "rebuild",
    "sha256",
]


@dataclasses.dataclass(frozen=True)
class Network:
    """A network by name, which is built by calling it with (image_shape, num_classes).

    Attributes:
        builder: `module:function` in this package, such as `resnet:resnet32`.
        source: origin of the network, in Markdown, for the docs.
        parameters: number of trainable parameters for images of 32 x 32 x 3 and 10 classes.
        giga_macs: billions of multiply-additions of the forward pass for one such image.
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
        "this project, for quick experiments; 0.10 M parameters for 8 x 8 pixels",
        parameters=591_594,
        giga_macs=0.03,
    ),
    "resnet32": Network(
        "resnet:resnet32",
        "the released MentorMix code, which calls it ResNet-32 and uses it in the CIFAR "
        "experiments",
        parameters=29_442_378,
        giga_macs=4.31,
    ),
    "resnet32_thin": Network(
        "resnet:resnet32_thin",
        "He et al., [Deep Residual Learning](https://arxiv.org/abs/1512.03385), 2016, section 4.2: "
        "the network that is usually called ResNet-32",
        parameters=464_154,
        giga_macs=0.07,
    ),
    "resnet9_thin": Network(
        "resnet:resnet9_thin",
        "Page, [How to Train Your ResNet](https://github.com/davidcpage/cifar10-fast), 2018, made "
        "thinner and with fewer positions, for CPUs",
        parameters=927_010,
        giga_macs=0.01,
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


def __getattr__(name: str) -> Any:
    if name == "APPLICATIONS":
        return _applications().APPLICATIONS
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def names() -> str:
    """Lists the values of --network, separated by commas."""
    known = ", ".join(NETWORKS)
    return (
        f"{known}, a name from keras.applications such as resnet50, a file such as my.keras, or a "
        "preset of KerasHub such as keras_hub:dinov2_small"
    )


def is_file(name: str) -> bool:
    """Whether a network is a file, and no name."""
    return name.endswith(".keras")


def is_preset(name: str) -> bool:
    """Whether a network is a preset of KerasHub."""
    return name.startswith("keras_hub:")


def keeps_layers(name: str) -> bool:
    """Whether a run must keep the network's layers, as they may be gone when it is evaluated."""
    return is_file(name) or is_preset(name)


def rebuild(name: str, layers: Any) -> "keras.Model":
    """Builds a network whose layers a run has kept, without its weights.

    Args:
        name: the network.
        layers: the run's network.json, a path.

    Raises:
        InputError: the file can't be read as a network, or KerasHub is not installed.
    """
    if is_preset(name):
        _hub().require(name)
    return _from_file().from_json(layers)


def sha256(name: str) -> str:
    """The SHA-256 of a network's file; "" for a network by name.

    Raises:
        InputError: the file can't be read.
    """
    return _from_file().sha256(name) if is_file(name) else ""


def check(name: str) -> None:
    """Raises InputError if no network has this name, or no file this path."""
    if is_preset(name):
        _hub().require(name)
    elif is_file(name):
        _from_file().check_exists(name)
    elif name not in NETWORKS and name not in _applications().APPLICATIONS:
        raise InputError(f"network={name} is unknown: choose one of {names()}.")


def build(
    name: str,
    image_shape: tuple[int, int, int],
    num_classes: int,
    pretrained: bool = False,
    preprocessing: str = "none",
) -> "keras.Model":
    """Builds a network.

    Args:
        name: one of `NETWORKS` or of `APPLICATIONS`, the networks of `keras.applications`; the
            path of a file that `keras.Model.save` wrote, which ends with .keras; or keras_hub: and
            a preset of KerasHub.
        image_shape: `(height, width, channels)`.
        num_classes: number of logits.
        pretrained: whether to start from ImageNet weights, which only `APPLICATIONS` have. A file
            has its own.
        preprocessing: how images are scaled for a network from a file or a preset: none, 0-1, -1-1
            or imagenet.

    Returns:
        A model from images `[batch, height, width, channels]`, float32 in [0, 255], to logits
        `[batch, num_classes]`.

    Raises:
        InputError: the name is unknown, the network can't take images of this shape, its ImageNet
            weights don't exist or can't be downloaded, or its file can't be read.
    """
    check(name)
    if keeps_layers(name) and pretrained:
        raise InputError(f"pretrained=True: network={name} has its own weights; leave it out.")
    if is_preset(name):
        return _hub().from_preset(name, image_shape, num_classes, preprocessing)
    if is_file(name):
        return _from_file().from_file(name, image_shape, num_classes, preprocessing)
    if preprocessing != "none":
        raise InputError(
            f"preprocessing={preprocessing} is for a network from a file, but network={name} "
            "scales images itself: leave it out."
        )
    if name not in NETWORKS:
        return _applications().application(name, image_shape, num_classes, pretrained)
    if pretrained:
        raise InputError(
            f"pretrained=True: there are no ImageNet weights for network={name}; choose a network "
            "of keras.applications such as resnet50, or leave out pretrained."
        )
    return NETWORKS[name](image_shape, num_classes)


def _from_file() -> Any:
    from mentormix_tf.networks import from_file  # not at the top, since it needs Keras

    return from_file


def _hub() -> Any:
    from mentormix_tf.networks import hub  # not at the top, since it needs Keras

    return hub


def _applications() -> Any:
    from mentormix_tf.networks import applications  # not at the top, since it needs Keras

    return applications

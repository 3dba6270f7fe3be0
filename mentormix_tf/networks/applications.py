"""The networks of `keras.applications`, by their names in snake case."""

import contextlib
import inspect
import os
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import layers, models, ops

from mentormix_tf.errors import InputError

__all__ = ["APPLICATIONS", "DOWNLOAD_TIMEOUT", "MIN_SIZE", "MIN_SIZES", "application"]

DOWNLOAD_TIMEOUT = 30.0  # seconds without a byte; Keras would wait forever
# Smallest height and width that Keras accepts. Source: the docstrings of keras.applications.
MIN_SIZES = {"xception": 71, "inception_v3": 75, "inception_resnet_v2": 75}
MIN_SIZE = 32  # for all others


def _snake_case(name: str) -> str:
    """Turns `EfficientNetV2B0` into `efficientnet_v2_b0`; Net and NeXt don't start a word."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])(?!Net|NeXt|Xt)", "_", name).lower()


# Name -> the function of `keras.applications` that builds the network.
APPLICATIONS: dict[str, Callable[..., keras.Model]] = {
    _snake_case(name): function
    for name, function in inspect.getmembers(keras.applications, inspect.isfunction)
}


def application(
    name: str, image_shape: tuple[int, int, int], num_classes: int, pretrained: bool = False
) -> keras.Model:
    """Builds a network of `keras.applications` with its own preprocessing and a new head.

    The head is always global average pooling and one dense layer, so VGG16 and VGG19 lose their two
    dense layers of 4096 units, and MobileNetV3 its last convolution. Grayscale images are repeated
    to three channels.

    Source: the papers that https://keras.io/api/applications lists.

    Args:
        name: one of `APPLICATIONS`.
        image_shape: `(height, width, channels)` with 1 or 3 channels; height and width at least
            `MIN_SIZES[name]`, or `MIN_SIZE` if the network is not listed there.
        num_classes: number of logits.
        pretrained: whether to start from Keras's ImageNet weights (except for the head) instead of
            random ones; Keras downloads them once.

    Returns:
        A model from images `[batch, height, width, channels]`, float32 in [0, 255], to logits
        `[batch, num_classes]`.

    Raises:
        InputError: the images are too small or have neither 1 nor 3 channels, or the weights
            can't be loaded.
    """
    height, width, channels = image_shape
    if channels not in (1, 3):
        raise InputError(
            f"network={name} can't take images of {channels} channels: use images of 1 or 3 "
            "channels, or a network that is not from keras.applications."
        )
    smallest = MIN_SIZES.get(name, MIN_SIZE)
    if min(height, width) < smallest:
        raise InputError(
            f"network={name} can't take images of {height}x{width} pixels: use "
            f"--image_size={smallest} or more, or a network that is not from keras.applications."
        )
    features = _features(name, height, width, pretrained)
    images = layers.Input(image_shape)
    rgb = images if channels == 3 else ops.repeat(images, 3, axis=-1)
    # Each module of keras.applications defines the preprocessing of its networks.
    module: Any = inspect.getmodule(APPLICATIONS[name])
    preprocess_input = module.preprocess_input
    logits = layers.Dense(num_classes)(features(preprocess_input(rgb)))
    return models.Model(images, logits, name=name)


def _features(name: str, height: int, width: int, pretrained: bool) -> keras.Model:
    """The network without preprocessing and head, from images to `[batch, features]`."""
    make = APPLICATIONS[name]
    arguments = {"include_top": False, "input_shape": (height, width, 3)}
    try:
        with _download_timeout():
            return make(**arguments, weights="imagenet" if pretrained else None, pooling="avg")
    except Exception as error:
        # A failed download raises a plain Exception or an OSError, a wrong file a ValueError.
        is_about_a_file = type(error) is Exception or isinstance(error, OSError | ValueError)
        if not pretrained or not is_about_a_file:
            raise
        cache = os.path.join(os.environ.get("KERAS_HOME", "~/.keras"), "models")
        call = ", ".join(f"{key}={value}" for key, value in arguments.items())
        raise InputError(
            f"The ImageNet weights of network={name} couldn't be loaded ({error}): call "
            f"keras.applications.{make.__name__}({call}) on a machine with internet access, and "
            f"copy the file that it saves in ~/.keras/models to {os.path.expanduser(cache)}."
        ) from error


@contextlib.contextmanager
def _download_timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)

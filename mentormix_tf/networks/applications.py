"""The networks of `keras.applications`, by their names in snake case."""

import contextlib
import inspect
import re
import socket
import traceback

import keras
from keras import layers, models, ops

from mentormix_tf.errors import InputError

DOWNLOAD_TIMEOUT = 30.0  # seconds without a byte, where Keras would wait for ever


def _snake_case(name):
    """`EfficientNetV2B0` becomes `efficientnet_v2_b0`: Net and NeXt are no words of their own."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])(?!Net|NeXt|Xt)", "_", name).lower()


# Name -> the function of `keras.applications` that makes the network.
APPLICATIONS = {
    _snake_case(name): function
    for name, function in inspect.getmembers(keras.applications, inspect.isfunction)
}


def application(name, image_shape, num_classes, pretrained=False):
    """A network of `keras.applications` with its own preprocessing inside and a new head.

    The head is global average pooling and one dense layer, for all of them; so VGG16 and VGG19
    lose their two dense layers of 4096 units, MobileNetV3 its last convolution. Grey-scale images
    are repeated to three channels.

    Source: https://keras.io/api/applications names each network's paper.

    Args:
        name: one of `APPLICATIONS`.
        image_shape: `(height, width, channels)` with 1 or 3 channels, at least 32 x 32 for most
            networks, 71 x 71 for Xception, 75 x 75 for Inception.
        num_classes: number of logits.
        pretrained: whether to start from Keras's ImageNet weights (all but the head), which are
            downloaded once; else from random ones.

    Returns:
        A `keras.Model` from images in [0, 255] to logits.

    Raises:
        InputError: the images are too small or have neither 1 nor 3 channels, or the weights
            can't be downloaded.
    """
    height, width, channels = image_shape
    if channels not in (1, 3):
        raise InputError(
            f"network={name} can't take images of {channels} channels: give it images of 1 or 3, "
            "or choose a network that is not from keras.applications."
        )
    features = _features(name, height, width, pretrained)
    images = layers.Input(image_shape)
    rgb = images if channels == 3 else ops.repeat(images, 3, axis=-1)
    # Each module has the function that goes with its networks.
    preprocess_input = inspect.getmodule(APPLICATIONS[name]).preprocess_input
    logits = layers.Dense(num_classes)(features(preprocess_input(rgb)))
    return models.Model(images, logits, name=name)


def _features(name, height, width, pretrained):
    """The network without preprocessing and head, from images to `[batch, features]`."""
    try:
        with _download_timeout():
            return APPLICATIONS[name](
                include_top=False,
                weights="imagenet" if pretrained else None,
                input_shape=(height, width, 3),
                pooling="avg",
            )
    except Exception as error:  # Keras raises plain Exceptions when a download fails
        smallest = re.search(r"size must be at least (\d+)x", str(error))
        if smallest:
            raise InputError(
                f"network={name} can't take images of {height}x{width} pixels: use "
                f"--image_size={smallest[1]} or more, or a network that is not from "
                "keras.applications."
            ) from error
        download = _download_that_failed(error)
        if download:
            raise InputError(
                f"The ImageNet weights of network={name} couldn't be downloaded "
                f"({error.__context__ or error}): fetch {download['origin']} elsewhere, and save "
                f"it as {download['download_target']}."
            ) from error
        raise


def _download_that_failed(error):
    """The variables of Keras's `get_file` where it raised `error`; None if it did not.

    Only they name the file: its name in the cache is not always that of the address.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code is keras.utils.get_file.__code__:
            return frame.f_locals
    return None


@contextlib.contextmanager
def _download_timeout():
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)

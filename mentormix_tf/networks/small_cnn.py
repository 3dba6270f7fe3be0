"""A small convolutional network, for small images and quick experiments."""

from typing import Any

import keras
from keras import layers, models

from mentormix_tf.errors import InputError

__all__ = ["small_cnn"]


def small_cnn(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Builds two stages of two 3x3 convolutions and a dense layer of 128 units.

    BatchNorm and ReLU follow each convolution and the dense layer; max pooling follows each stage.

    Args:
        image_shape: `(height, width, channels)`, at least 4 x 4 pixels.
        num_classes: number of logits.

    Returns:
        A model from images `[batch, height, width, channels]` in [0, 255] to logits `[batch,
        num_classes]`; 0.1 M parameters for 8 x 8 pixels and 10 classes.

    Raises:
        InputError: the images are too small.
    """
    height, width, _ = image_shape
    if min(height, width) < 4:
        raise InputError(
            f"network=small_cnn can't take images of {height}x{width} pixels: use --image_size=4 "
            "or more, or another network."
        )
    stack: list[Any] = [
        layers.Input(image_shape),
        layers.Rescaling(1 / 127.5, offset=-1.0),
    ]
    for filters in (32, 64):
        for _ in range(2):
            stack.append(layers.Conv2D(filters, 3, padding="same", use_bias=False))
            stack += [layers.BatchNormalization(momentum=0.9), layers.ReLU()]
        stack.append(layers.MaxPooling2D())
    stack += [layers.Flatten(), layers.Dense(128, use_bias=False)]
    stack += [layers.BatchNormalization(momentum=0.9), layers.ReLU(), layers.Dense(num_classes)]
    return models.Sequential(stack, name="small_cnn")

"""Backbones of KerasHub, such as DINOv2, from its presets."""

import contextlib
import logging
import math
import os
from typing import Any

import keras
from keras import layers, models, ops

from mentormix_tf.errors import InputError
from mentormix_tf.networks.from_file import PREPROCESSINGS

__all__ = ["PREFIX", "from_preset", "require"]

_log = logging.getLogger(__name__)
PREFIX = "keras_hub:"


def require(name: str) -> Any:
    """Returns the package keras_hub, whose import also lets Keras load its layers.

    Args:
        name: the network, as in keras_hub:dinov2_small.

    Raises:
        InputError: it is not installed.
    """
    try:
        import keras_hub  # pyright: ignore[reportMissingImports]  # optional
    except ImportError as error:
        raise InputError(
            f"network={name} needs the package keras-hub ({error}): pip install "
            "'mentormix-tf[keras_hub]'."
        ) from error
    return keras_hub


def from_preset(
    name: str, image_shape: tuple[int, int, int], num_classes: int, preprocessing: str = "none"
) -> keras.Model:
    """Builds a network from a preset of KerasHub, with its weights and a new head.

    The head is one dense layer, on the class token of a vision transformer, on the mean of the
    tokens of one that has no class token, or on the spatial mean of feature maps. Images are scaled
    as the preset's image converter says. Grayscale images are repeated to three channels.

    Args:
        name: `keras_hub:` and the preset: its name, such as dinov2_small, a handle of Kaggle or
            Hugging Face, or a folder that `save_to_preset` wrote.
        image_shape: `(height, width, channels)`.
        num_classes: number of logits.
        preprocessing: how to scale images instead; none for the preset's own way.

    Returns:
        A model from images `[batch, height, width, channels]`, float32 in [0, 255], to logits
        `[batch, num_classes]`.

    Raises:
        InputError: KerasHub is not installed, the preset can't be loaded for images of this shape,
            or it is not of a network for images.
    """
    hub, preset = require(name), os.path.expanduser(name.removeprefix(PREFIX))
    if image_shape[2] not in (1, 3):
        raise InputError(
            f"network={name} can't take images of {image_shape[2]} channels: use images of 1 or 3."
        )
    backbone = _backbone(hub, name, preset, image_shape)
    images = layers.Input(image_shape)
    shown: Any = images if image_shape[2] == 3 else ops.repeat(images, 3, axis=-1)
    scaling = PREPROCESSINGS[preprocessing]() if preprocessing != "none" else _own(hub, preset)
    for layer in scaling:
        shown = layer(shown)
    named = list(backbone.input) if isinstance(backbone.input, dict) else []
    features: Any = backbone({named[0]: shown} if named else shown)
    if len(features.shape) == 4:
        features = layers.GlobalAveragePooling2D()(features)
    elif len(features.shape) == 3:
        has_class_token = not _is_grid(features.shape[1], image_shape)
        pool = layers.GlobalAveragePooling1D()
        features = features[:, 0] if has_class_token else pool(features)
    logits = layers.Dense(num_classes)(features)
    _log.info("Network: %s, %s features, a new layer of %d classes", name,
              f"{features.shape[-1]:,}", num_classes)  # fmt: skip
    return models.Model(images, logits)


def _backbone(hub, name, preset, image_shape):
    """The preset's backbone, for images of this size."""
    size = {"image_shape": (*image_shape[:2], 3)}
    dtype = {"dtype": keras.config.dtype_policy().name}
    error: Exception | None = None
    for settings in ({**size, **dtype}, dtype):
        try:
            backbone = hub.models.Backbone.from_preset(preset, **settings)
            break
        except Exception as failed:  # a download, a file, a class or its arguments
            error = error or failed
    else:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise InputError(
            f"network={name} can't be loaded for images of {image_shape[0]}x{image_shape[1]} "
            f"pixels ({reason}): name a preset of KerasHub for images, or a folder that "
            "save_to_preset wrote, and an --image_size that it takes."
        ) from error
    _check(name, backbone, image_shape)
    return backbone


def _check(name, backbone, image_shape):
    """Raises InputError if a backbone does not make features of images of this size."""
    given, found = backbone.input, backbone.output
    given = list(given.values()) if isinstance(given, dict) else [given]
    takes_images = len(given) == 1 and len(given[0].shape) == 4
    gives_features = not isinstance(found, dict | list) and len(found.shape) in (2, 3, 4)
    if not takes_images or not gives_features:
        raise InputError(
            f"network={name} must take images alone and return features, feature maps or tokens."
        )
    height, width = given[0].shape[1:3]
    if height not in (None, image_shape[0]) or width not in (None, image_shape[1]):
        raise InputError(
            f"network={name} takes images of {height}x{width} pixels, not of "
            f"{image_shape[0]}x{image_shape[1]}: use --image_size={height}."
        )


def _own(hub, preset) -> list[keras.Layer]:
    """How the preset's image converter scales images from 0 to 255; not at all without one."""
    converter = None
    with contextlib.suppress(Exception):  # a preset need not have one
        converter = hub.layers.ImageConverter.from_preset(preset)
    if converter is None or (converter.scale is None and converter.offset is None):
        return []
    scale = 1.0 if converter.scale is None else converter.scale
    return [layers.Rescaling(scale, 0.0 if converter.offset is None else converter.offset)]


def _is_grid(tokens, image_shape):
    """Whether there is a token for each patch of an image, and no other."""
    height, width, _ = image_shape
    return tokens is not None and any(
        height % patch == width % patch == 0 and tokens == height * width // patch**2
        for patch in range(1, math.isqrt(height * width) + 1)
    )

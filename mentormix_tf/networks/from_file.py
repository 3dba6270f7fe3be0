"""Networks that Keras has saved in a file, such as a pretrained one of your own."""

import hashlib
import json
import logging
import os
import pathlib
import re
from collections.abc import Callable
from typing import Any

import keras
from etils import epath
from keras import layers, models, ops

from mentormix_tf import files
from mentormix_tf.errors import InputError
from mentormix_tf.networks import trained_layers

__all__ = ["PREPROCESSINGS", "check_exists", "from_file", "from_json", "sha256"]

_log = logging.getLogger(__name__)
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of pixels in [0, 1]

_OF_CLASSES = ("linear", "softmax", "sigmoid")  # activations of a classifier's last layer

# What images in [0, 255] become before the network sees them.
PREPROCESSINGS: dict[str, Callable[[], list[keras.Layer]]] = {
    "none": list,
    "0-1": lambda: [layers.Rescaling(1 / 255.0)],
    "-1-1": lambda: [layers.Rescaling(1 / 127.5, offset=-1.0)],
    "imagenet": lambda: [
        layers.Normalization(
            mean=[255.0 * mean for mean in _IMAGENET_MEAN],
            variance=[(255.0 * std) ** 2 for std in _IMAGENET_STD],
        )
    ],
}


def check_exists(path: str) -> None:
    """Raises InputError if there is no such file."""
    file = files.expanded(path, "network")
    is_special = os.path.exists(file) and not os.path.isfile(file)  # a folder, a pipe
    if is_special or not files.exists(file, "network"):
        raise InputError(f"network={path} does not exist: name a file that Keras has saved.")


def sha256(path: str) -> str:
    """The SHA-256 of a network's file.

    Raises:
        InputError: the file can't be read.
    """
    try:
        return hashlib.sha256(files.contents(files.expanded(path, "network"))).hexdigest()
    except OSError as error:
        raise InputError(f"network={path} can't be read: {files.reason(error)}.") from error


def from_file(
    path: str, image_shape: tuple[int, int, int], num_classes: int, preprocessing: str = "none"
) -> keras.Model:
    """Builds a network from a .keras file, with its weights.

    A last dense layer, with its activation, is replaced by one that returns logits: with the same
    weights if it has the right number of classes, else with new ones. A network without such a
    layer, or whose last dense layer has a ReLU or the like, gets one, after global average pooling
    if it ends with feature maps; but a network that
    returns `[batch, num_classes]` without a dense layer at its end is taken as it is. Grayscale
    images are repeated to the three channels that a network for color images takes.

    Args:
        path: the file. Layers of classes of your own must be registered with Keras before.
        image_shape: `(height, width, channels)`.
        num_classes: number of logits.
        preprocessing: what the network was trained with: one of `PREPROCESSINGS`. `none` if the
            network scales images in [0, 255] itself.

    Returns:
        A model from images `[batch, height, width, channels]`, float32 in [0, 255], to logits
        `[batch, num_classes]`. All its layers are trainable, and compute in Keras's current dtype
        policy.

    Raises:
        InputError: the file can't be read or needs code that Keras doesn't know or doesn't trust,
            or the network does not take these images.
    """
    whole = _with_current_policy(_loaded(path))
    _check_images(path, whole, image_shape, preprocessing)
    images = layers.Input(image_shape)
    shown: Any = images
    if image_shape[2] == 1 and whole.input_shape[3] == 3:
        shown = ops.repeat(images, 3, axis=-1)
    for layer in PREPROCESSINGS[preprocessing]():
        shown = layer(shown)
    features, dense = _without_head(whole)
    logits = features(shown)
    is_whole = dense is None and features.output_shape == (None, num_classes)
    head = None if is_whole else layers.Dense(num_classes)
    if head is not None:
        if len(logits.shape) == 4:
            logits = layers.GlobalAveragePooling2D()(logits)
        if len(logits.shape) != 2:
            raise InputError(
                f"network={path} returns values of shape {features.output_shape}: it must return "
                "feature maps, features or logits."
            )
        logits = head(logits)
        if dense is not None and dense.units == num_classes:
            bias = dense.get_weights()[1:] or [head.get_weights()[1]]
            head.set_weights([dense.get_weights()[0], *bias])
    network = models.Model(images, logits, name=_name(path))
    for layer in trained_layers.inside(network):
        layer.trainable = True
    _log.info("Network: %s", _described(path, preprocessing, features, dense, head, num_classes))
    return network


def from_json(path: epath.Path) -> keras.Model:
    """Builds the network whose architecture a run has kept, without its weights.

    Args:
        path: the JSON file, as `keras.Model.to_json` writes it.

    Raises:
        InputError: the file can't be read as a network.
    """
    try:
        network = _with_current_policy(models.model_from_json(files.contents(path).decode()))
    except OSError as error:
        raise InputError(f"{path} can't be read: {files.reason(error)}.") from error
    except Exception as error:  # whatever Keras makes of an edited file
        raise InputError(f"{path} can't be read as a network: restore it.") from error
    for layer in trained_layers.inside(network):
        layer.trainable = True
    return network


def _loaded(path):
    check_exists(path)
    file = files.expanded(path, "network")
    try:
        network = models.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever a broken file or a strange layer raises
        reason = str(error)
        if "safe_mode" in reason or "ambda" in reason:
            raise InputError(
                f"network={path} holds code, such as a Lambda layer, which is not executed: save "
                "the network with layers instead."
            ) from error
        if "Could not locate class" in reason or "Could not deserialize" in reason:
            raise InputError(
                f"network={path} has a layer of a class that Keras doesn't know: build the network "
                "with Keras's own layers, or register the class and train from your own program."
            ) from error
        raise InputError(
            f"network={path} can't be read: name a file that keras.Model.save has written, with "
            "a name that ends with .keras."
        ) from error
    ends = [getattr(network, name, None) or [] for name in ("inputs", "outputs")]
    if not isinstance(network, models.Model) or [len(tensors) for tensors in ends] != [1, 1]:
        raise InputError(
            f"network={path} must be Sequential or functional, with one input and one output."
        )
    for layer in trained_layers.inside(network):
        if not re.fullmatch(r"[A-Za-z0-9_.\\/>-]+", layer.name):
            raise InputError(
                f"network={path} has a layer of the name {layer.name!r}, which TensorFlow can't "
                "use: rename it with letters, digits, _, . and - alone."
            )
    return network


def _check_images(path, network, image_shape, preprocessing):
    if preprocessing not in PREPROCESSINGS:
        raise InputError(
            f"preprocessing={preprocessing} is unknown: choose one of {', '.join(PREPROCESSINGS)}."
        )
    shape, (height, width, channels) = network.input_shape, image_shape
    if len(shape) != 4:
        raise InputError(
            f"network={path} takes values of shape {shape}, not images of shape (batch, height, "
            "width, channels)."
        )
    if shape[1] not in (None, height) or shape[2] not in (None, width):
        hint = f": use --image_size={shape[1]}" if shape[1] == shape[2] else ""
        raise InputError(
            f"network={path} takes images of {shape[1]}x{shape[2]} pixels, not of {height}x{width}"
            f"{hint}."
        )
    if shape[3] != channels and (channels, shape[3]) != (1, 3):
        raise InputError(
            f"network={path} takes images of {shape[3]} channels, but these have {channels}."
        )
    if preprocessing == "imagenet" and shape[3] != 3:
        raise InputError(
            f"preprocessing=imagenet is for color images, but network={path} takes images of "
            f"{shape[3]} channels."
        )


def _without_head(network) -> tuple[keras.Model, layers.Dense | None]:
    """The network up to its last dense layer, and that layer; the whole if it has none."""
    if isinstance(network, models.Sequential):
        kept = list(network.layers)
        while len(kept) > 1 and _comes_after_logits(kept[-1]):
            kept.pop()
        if len(kept) == 1 or not _is_head(kept[-1]):
            return network, None
        images = layers.Input(network.input_shape[1:])  # pyright: ignore[reportOptionalSubscript]
        return models.Sequential([images, *kept[:-1]], name=network.name), kept[-1]
    tensor = network.outputs[0]
    for layer in reversed(network.layers):
        if not _makes(layer, tensor):
            break
        if _is_head(layer):
            return models.Model(network.inputs, layer.input, name=network.name), layer
        if not _comes_after_logits(layer):
            break
        tensor = layer.input
    return network, None


def _is_head(layer):
    return isinstance(layer, layers.Dense) and layer.activation.__name__ in _OF_CLASSES


def _comes_after_logits(layer):
    if isinstance(layer, layers.Activation):
        return layer.activation.__name__ in _OF_CLASSES
    return isinstance(layer, layers.Softmax | layers.Dropout)


def _makes(layer, tensor):
    """Whether a tensor is the output of a layer that is called once."""
    try:
        return layer.output is tensor
    except (AttributeError, ValueError):  # it is called more than once
        return False


def _with_current_policy(network):
    """The network with layers that compute in Keras's current dtype policy."""
    policy = keras.config.dtype_policy()
    if all(layer.dtype_policy.name == policy.name for layer in trained_layers.inside(network)):
        return network
    config = json.loads(json.dumps(network.get_config()))
    config = _replaced(config, keras.saving.serialize_keras_object(policy))
    changed = type(network).from_config(config)
    changed.set_weights(network.get_weights())
    return changed


def _replaced(config, policy):
    """A layer's config with other dtype policies, at any depth."""
    if isinstance(config, list):
        return [_replaced(part, policy) for part in config]
    if not isinstance(config, dict):
        return config
    if "Policy" in str(config.get("class_name")):
        return policy
    return {name: _replaced(part, policy) for name, part in config.items()}


def _name(path):
    """A name that Keras takes, from the file's."""
    name = pathlib.PurePath(path).stem
    return "".join(c if c.isalnum() and c.isascii() else "_" for c in name).strip("_") or "network"


def _described(path, preprocessing, features, dense, head, num_classes):
    pixels = "pixels from 0 to 255" if preprocessing == "none" else f"pixels scaled {preprocessing}"
    text = f"{pathlib.PurePath(path).name} on {pixels}"
    if head is None:
        return f"{text}, as it is"
    is_kept = dense is not None and dense.units == num_classes
    last = "its own" if is_kept else "a new"
    return f"{text}, {features.output_shape[-1]:,} features, {last} layer of {num_classes} classes"

"""Features of a trained network: what its last layers see."""

from typing import Literal, get_args

import keras

from mentormix_tf.distribution import keras_internals
from mentormix_tf.errors import InputError

__all__ = ["FeatureLayer", "has", "model"]

FeatureLayer = Literal["penultimate", "convolution"]


def model(network: keras.Model, *layers: FeatureLayer) -> keras.Model:
    """Makes a model of the features that a network computes, with the same weights.

    Args:
        network: Keras network that returns logits, Sequential or functional.
        *layers: `penultimate`, the input of the last dense layer; `convolution`, the spatial mean
            of the last feature maps. These have learned less of the wrong labels than the layers
            after them.

    Returns:
        A model from what the network takes to `[features [batch, size], ..., logits]`.

    Raises:
        InputError: the network has no such layer, or is a subclassed model, whose layers don't
            tell what they are called with.
    """
    found = [_features(network, layer) for layer in layers]
    return keras.Model(network.inputs[0], [*found, network.outputs[0]])


def has(network: keras.Model, layer: FeatureLayer) -> bool:
    """Whether `model` can be made of a network."""
    return _tensor(network, layer) is not None


def _features(network, layer):
    """The features `[batch, size]` of a layer of a network, as a tensor of the network."""
    if layer not in get_args(FeatureLayer):
        raise InputError(
            f"features={layer} is unknown: choose one of {', '.join(get_args(FeatureLayer))}."
        )
    found = _tensor(network, layer)
    if found is None:
        raise InputError(
            f"features={layer} can't be found in the network {network.name}, which must be "
            "Sequential or functional and end with "
            + ("a dense layer." if layer == "penultimate" else "feature maps and layers on them.")
        )
    if len(found.shape) == 4:
        found = keras.layers.GlobalAveragePooling2D(dtype="float32")(found)
    return found


def _tensor(network, layer):
    """The tensor of a network that `model` describes; None if there is none."""
    for operation, tensor in keras_internals.calls_from_the_end(network):
        if tensor is None:
            return None
        if isinstance(operation, keras.Model):  # a network inside the network
            inner = _tensor(operation, layer)
            return inner if inner is None else keras.Model(operation.inputs[0], inner)(tensor)
        if layer == "penultimate":
            if isinstance(operation, keras.layers.Dense):
                return tensor
        elif len(tensor.shape) == 4:
            # Not the images themselves, however they are scaled.
            is_map = tensor.shape[-1] > network.inputs[0].shape[-1]
            return tensor if is_map else None
    return None

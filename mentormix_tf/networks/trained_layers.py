"""Which layers of a network train: all, the last ones or the head; and BatchNorm or not."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import keras

from mentormix_tf.errors import InputError

__all__ = [
    "backbone",
    "backbone_weights",
    "cut",
    "freeze_all_but",
    "freeze_batch_norm",
    "inside",
]

# A block is what its layers' names say: conv5_block3, block7a, stages_3_block_2, _blocks-15.
_BLOCK = re.compile(r".*(?:block|stage)s?[-_]?\d+[a-z]?", re.IGNORECASE)


def freeze_all_but(network: keras.Model, train_layers: str) -> None:
    """Freezes the first layers of a network.

    A frozen layer keeps its weights, and a frozen BatchNorm its statistics, with which it
    normalizes as in inference, also while training.

    Args:
        network: a network of layers, Sequential or functional.
        train_layers: `all`; `head`, the last layer with weights; or a number, of blocks before the
            head that train with it. Layers whose names begin with the same block, such as
            `conv5_block3_1_conv` and `conv5_block3_2_conv`, are one block; any other layer with
            weights is a block of its own.

    Raises:
        InputError: the network has fewer layers or blocks than that.
    """
    if train_layers == "all":
        return
    blocks = [list(block) for _, block in itertools.groupby(backbone(network), _block)]
    if not blocks:
        raise InputError(
            f"train_layers={train_layers}: the network {network.name} has one layer with weights, "
            "so none can be frozen: leave it out."
        )
    count = 0 if train_layers == "head" else int(train_layers)
    if count > len(blocks):
        raise InputError(
            f"train_layers={train_layers}: the network {network.name} has {len(blocks)} blocks "
            "before its head: give at most as many, or all."
        )
    for layer in itertools.chain.from_iterable(blocks[: len(blocks) - count]):
        layer.trainable = False


def freeze_batch_norm(network: keras.Model) -> None:
    """Freezes the BatchNorm layers of a network, whatever other layers train.

    Each keeps its statistics, scale and offset, and normalizes as in inference, also while
    training. Source: "Transfer learning & fine-tuning", Keras's guides.

    Args:
        network: a network of layers, Sequential or functional.

    Raises:
        InputError: the network has no BatchNorm.
    """
    found = [
        layer for layer in inside(network) if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if not found:
        raise InputError(
            f"freeze_batch_norm=True: the network {network.name} has no BatchNorm: leave it out."
        )
    for layer in found:
        layer.trainable = False


def backbone(network: keras.Model) -> list[keras.Layer]:
    """The layers of a network that have weights, but for the last one, its head."""
    return _with_weights(network)[:-1]


def cut(network: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Cuts a network before its last dense layer.

    Args:
        network: a network of layers, Sequential or functional, that ends with a dense layer.

    Returns:
        The backbone, from images to features `[batch, size]`, with the network's own layers; and
        the head, from features to logits, with a copy of the last layer.

    Raises:
        InputError: the network does not end with a dense layer of features `[batch, size]`.
    """
    last = network.layers[-1]
    is_head = isinstance(last, keras.layers.Dense) and last.output is network.outputs[0]
    end: Any = last.input if is_head else None
    if end is None or len(end.shape) != 2:
        raise InputError(
            f"The network {network.name} does not end with a dense layer, before which its "
            "features could be kept: compute them in each step, by --feature_views=0."
        )
    features = keras.Input(end.shape[1:], name="features")
    head = last.from_config(last.get_config())
    logits = head(features)
    head.set_weights(last.get_weights())
    return keras.Model(network.inputs, end), keras.Model(features, logits, name="head")


def backbone_weights(network: keras.Model) -> list[keras.Variable]:
    """The weights of a network that can be `cut`, but for those of its last layer."""
    head = network.layers[-1].weights
    return [weight for weight in network.weights if all(weight is not own for own in head)]


def inside(network: keras.Model) -> Iterator[keras.Layer]:
    """All layers of a network, and of the networks in it."""
    for layer in network.layers:
        yield from inside(layer) if isinstance(layer, keras.Model) else [layer]


def _with_weights(network):
    """The layers that have weights, from first to last, also of networks inside the network."""
    found = []
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            found += _with_weights(layer)
        elif layer.weights and not isinstance(layer, keras.layers.Normalization):
            found.append(layer)
    return found


def _block(layer):
    named = _BLOCK.match(layer.name)
    return named[0] if named else layer.name

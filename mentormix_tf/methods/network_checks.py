"""Refuses networks that a method can't train."""

from collections.abc import Sequence

import keras

from mentormix_tf.errors import InputError

__all__ = ["check_no_softmax", "check_output_shape"]


def check_output_shape(shape: Sequence[int | None], num_classes: int) -> None:
    """Refuses a network whose output is not one row of logits for each image.

    Args:
        shape: shape of the network's output.
        num_classes: number of classes.

    Raises:
        InputError: the shape is not `(batch, num_classes)`.
    """
    if len(shape) != 2 or shape[-1] != num_classes:
        raise InputError(
            f"The network's output has shape {tuple(shape)}, but num_classes="
            f"{num_classes} needs logits of shape (batch, {num_classes})."
        )


def check_no_softmax(network: keras.Model) -> None:
    """Refuses a network whose last layer turns logits into probabilities.

    Args:
        network: the network, built or not.

    Raises:
        InputError: the last layer is a softmax.
    """
    last = network.layers[-1] if getattr(network, "layers", None) else None
    if isinstance(last, keras.layers.Softmax) or (
        getattr(last, "activation", None) is keras.activations.softmax
    ):
        raise InputError("The network ends in a softmax: remove it, since the loss takes logits.")

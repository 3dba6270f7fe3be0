"""Refuses networks that a method can't train."""

import inspect
from collections.abc import Sequence

import keras

from mentormix_tf.distribution import keras_internals
from mentormix_tf.errors import InputError

__all__ = ["check_can_be_saved", "check_no_softmax", "check_output_shape"]

_SQUASHING = ("softmax", "sigmoid", "hard_sigmoid", "sparsemax")
_KEEPS_VALUES = (
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.InputLayer,
    keras.layers.Reshape,
)


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
    """Refuses a network that turns its logits into probabilities at the end.

    Args:
        network: the network, built or not. A subclassed one is only looked at for a last layer.

    Raises:
        InputError: the network ends in a softmax or a sigmoid.
    """
    last = [layer for layer in getattr(network, "layers", None) or []][-1:]
    for operation in keras_internals.last_operations(network) or last:
        names = _names(operation)
        squashing = next((name for name in names if name in _SQUASHING), None)
        if squashing:
            raise InputError(
                f"The network ends in a {squashing}: remove it, since the loss takes logits."
            )
        if not isinstance(operation, _KEEPS_VALUES) and names != ["activation", "linear"]:
            return


def check_can_be_saved(network: keras.Model) -> None:
    """Refuses a subclassed network that Keras would load with other constructor arguments.

    Keras stores the defaults of a subclassed model's constructor, whatever it was called with.

    Args:
        network: the network.

    Raises:
        InputError: it, or a model in it, has constructor arguments but no `get_config`.
    """
    for layer in keras_internals.flatten_layers(network):
        if type(layer).get_config is keras.Model.get_config:
            arguments = list(inspect.signature(type(layer).__init__).parameters.values())[1:]
            kinds = [each.kind for each in arguments]
            own = [
                each.name
                for each in arguments
                if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
                and each.name not in ("name", "trainable", "dtype")
            ]
            if own or inspect.Parameter.VAR_KEYWORD not in kinds:
                raise InputError(
                    f"{type(layer).__name__} can't be saved so that it loads as it is: give it a "
                    f"get_config with the arguments of its constructor ({', '.join(own)}), and let "
                    "the constructor take **kwargs."
                )


def _names(operation: keras.Operation) -> list[str]:
    """The names of what an operation computes: its own and its activation's."""
    activation = getattr(operation, "activation", None)
    name = getattr(activation, "__name__", type(activation).__name__).lower()
    return [type(operation).__name__.lower(), name.removesuffix("_v2")]

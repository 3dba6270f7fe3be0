"""Methods: how a batch with noisy labels becomes a loss."""

import keras

from mentormix_tf.errors import InputError
from mentormix_tf.methods.base import NoisyLabelModel, hyperparameters
from mentormix_tf.methods.mentormix import MentorMix
from mentormix_tf.methods.vanilla import Vanilla

METHODS = {"vanilla": Vanilla, "mentormix": MentorMix}

__all__ = [
    "METHODS",
    "MentorMix",
    "NoisyLabelModel",
    "Vanilla",
    "get",
    "hyperparameters",
    "resolve",
]


def get(name):
    """The class of a method by its name; raises InputError for a name that is not known."""
    if name not in METHODS:
        raise InputError(f"method={name} is unknown: choose one of {', '.join(METHODS)}.")
    return METHODS[name]


def resolve(name, chosen):
    """Completes a method's hyperparameters with its defaults, and checks them.

    Args:
        name: name of the method.
        chosen: dict of those that differ from the defaults.

    Returns:
        Dict of all of the method's hyperparameters.

    Raises:
        InputError: the method or a hyperparameter is not known, or one is out of its range.
    """
    known = {k: p.default for k, p in hyperparameters(get(name)).items()}
    foreign = [k for k in chosen if k not in known]
    if foreign:
        raise InputError(
            f"{', '.join(foreign)} can't be set: {name} has "
            + (f"the hyperparameters {', '.join(known)}." if known else "no hyperparameters.")
        )
    values = {**known, **chosen}
    smallest = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(2)])
    get(name)(smallest, 2, **values)  # its constructor knows the ranges
    return values

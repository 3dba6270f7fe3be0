"""Methods: how a batch with noisy labels becomes a loss."""

import keras

from mentormix_tf.errors import InputError
from mentormix_tf.methods.base import NoisyLabelModel, hyperparameters
from mentormix_tf.methods.bootstrap import Bootstrap
from mentormix_tf.methods.data_parameters import DataParameters
from mentormix_tf.methods.dropout import FeatureDropout
from mentormix_tf.methods.dynamic_bootstrap import DynamicBootstrap
from mentormix_tf.methods.gce import GCE
from mentormix_tf.methods.mentormix import MentorMix
from mentormix_tf.methods.mentornet import MentorNet
from mentormix_tf.methods.mixup import Mixup
from mentormix_tf.methods.o2u import O2UNet
from mentormix_tf.methods.s_model import SModel
from mentormix_tf.methods.vanilla import Vanilla
from mentormix_tf.methods.weight_decay import WeightDecay

METHODS = {
    "vanilla": Vanilla,
    "weight_decay": WeightDecay,
    "dropout": FeatureDropout,
    "s_model": SModel,
    "bootstrap": Bootstrap,
    "mixup": Mixup,
    "mentornet": MentorNet,
    "mentormix": MentorMix,
    "gce": GCE,
    "dynamic_bootstrap": DynamicBootstrap,
    "data_parameters": DataParameters,
    "o2u": O2UNet,
}

__all__ = [
    "GCE",
    "METHODS",
    "Bootstrap",
    "DataParameters",
    "DynamicBootstrap",
    "FeatureDropout",
    "MentorMix",
    "MentorNet",
    "Mixup",
    "NoisyLabelModel",
    "O2UNet",
    "SModel",
    "Vanilla",
    "WeightDecay",
    "build",
    "get",
    "hyperparameters",
    "resolve",
]


def get(name):
    """The class of a method by its name; raises InputError for a name that is not known."""
    if name not in METHODS:
        raise InputError(f"method={name} is unknown: choose one of {', '.join(METHODS)}.")
    return METHODS[name]


def build(name, network, num_classes, num_examples, **kwargs):
    """A method around a network.

    Args:
        name: name of the method.
        network: Keras network that gives logits `[batch, num_classes]`.
        num_classes: number of classes.
        num_examples: how many training examples there are; only some methods need to know.
        **kwargs: `seed` and the method's hyperparameters.

    Returns:
        A `NoisyLabelModel`.

    Raises:
        InputError: the method is not known, or an argument is out of its range.
    """
    method = get(name)
    counts = (num_classes, num_examples) if method.uses_index else (num_classes,)
    return method(network, *counts, **kwargs)


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
    build(name, smallest, 2, 1, **values)  # its constructor knows the ranges
    return values

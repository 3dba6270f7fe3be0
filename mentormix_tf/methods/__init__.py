"""Methods: how a batch with noisy labels becomes a loss.

The classes are imported on first use, so that the methods can be listed, and a command's --help
printed, without TensorFlow.
"""

import importlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mentormix_tf import backend
from mentormix_tf.config.codec import Field
from mentormix_tf.errors import InputError
from mentormix_tf.methods.hyperparameters import declared

if TYPE_CHECKING:
    import keras

    from mentormix_tf.methods.active_passive import SCE, NCEandMAE, NCEandRCE
    from mentormix_tf.methods.base import NoisyLabelModel
    from mentormix_tf.methods.bootstrap import Bootstrap
    from mentormix_tf.methods.co_teaching import CoTeaching
    from mentormix_tf.methods.data_parameters import DataParameters
    from mentormix_tf.methods.dropout import FeatureDropout
    from mentormix_tf.methods.dynamic_bootstrap import DynamicBootstrap
    from mentormix_tf.methods.elr import ELR
    from mentormix_tf.methods.forward import ForwardCorrection
    from mentormix_tf.methods.gce import GCE
    from mentormix_tf.methods.mentormix import MentorMix
    from mentormix_tf.methods.mentornet import MentorNet
    from mentormix_tf.methods.mixup import Mixup
    from mentormix_tf.methods.o2u import O2UNet
    from mentormix_tf.methods.s_model import SModel
    from mentormix_tf.methods.vanilla import Vanilla
    from mentormix_tf.methods.weight_decay import WeightDecay

# Name of a method -> its class, as FILE.CLASS in this folder.
METHODS: dict[str, str] = {
    "vanilla": "vanilla.Vanilla",
    "weight_decay": "weight_decay.WeightDecay",
    "dropout": "dropout.FeatureDropout",
    "s_model": "s_model.SModel",
    "bootstrap": "bootstrap.Bootstrap",
    "mixup": "mixup.Mixup",
    "mentornet": "mentornet.MentorNet",
    "mentormix": "mentormix.MentorMix",
    "gce": "gce.GCE",
    "dynamic_bootstrap": "dynamic_bootstrap.DynamicBootstrap",
    "data_parameters": "data_parameters.DataParameters",
    "o2u": "o2u.O2UNet",
    "elr": "elr.ELR",
    "sce": "active_passive.SCE",
    "nce_rce": "active_passive.NCEandRCE",
    "nce_mae": "active_passive.NCEandMAE",
    "forward": "forward.ForwardCorrection",
    "co_teaching": "co_teaching.CoTeaching",
}
# How papers write the name of a method; as its name in this package otherwise.
_TITLES = {
    "vanilla": "Vanilla",
    "weight_decay": "WeightDecay",
    "dropout": "Dropout",
    "s_model": "S-Model",
    "bootstrap": "Bootstrap",
    "mixup": "Mixup",
    "mentornet": "MentorNet",
    "mentormix": "MentorMix",
    "gce": "GCE",
    "dynamic_bootstrap": "Dynamic bootstrap",
    "data_parameters": "Data parameters",
    "o2u": "O2U-Net",
    "elr": "ELR",
    "sce": "SCE",
    "nce_rce": "NCE + RCE",
    "nce_mae": "NCE + MAE",
    "forward": "Forward correction",
    "co_teaching": "Co-teaching",
}

__all__ = [
    "ELR",
    "GCE",
    "METHODS",
    "SCE",
    "Bootstrap",
    "CoTeaching",
    "DataParameters",
    "DynamicBootstrap",
    "FeatureDropout",
    "ForwardCorrection",
    "MentorMix",
    "MentorNet",
    "Mixup",
    "NCEandMAE",
    "NCEandRCE",
    "NoisyLabelModel",
    "O2UNet",
    "SModel",
    "Vanilla",
    "WeightDecay",
    "all_hyperparameters",
    "build",
    "get",
    "hyperparameters_of",
    "import_all",
    "load_model",
    "names",
    "resolve",
    "title",
]


def __getattr__(name: str) -> Any:
    for place in (*METHODS.values(), "base.NoisyLabelModel"):
        if place.endswith(f".{name}"):
            return _import(place)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def names() -> str:
    """Returns the names of all methods, for a flag's help."""
    return ", ".join(METHODS)


def get(name: str) -> "type[NoisyLabelModel]":
    """Returns the class of a method.

    Args:
        name: a key of `METHODS`.

    Raises:
        InputError: the method is unknown.
    """
    return _import(_place(name))


def hyperparameters_of(name: str) -> tuple[Field, ...]:
    """Returns the hyperparameters of a method, which become flags.

    Args:
        name: a key of `METHODS`.

    Raises:
        InputError: the method is unknown.
    """
    return declared(*_place(name).split("."))


def all_hyperparameters() -> dict[str, tuple[Field, ...]]:
    """Returns the hyperparameters of every method, by its name."""
    return {name: hyperparameters_of(name) for name in METHODS}


def import_all() -> None:
    """Imports the class of every method, which lets Keras load a saved model of any of them.

    Raises:
        BackendError: TensorFlow is missing, or Keras runs on another backend.
    """
    backend.check()
    for place in METHODS.values():
        importlib.import_module(f"{__name__}.{place.partition('.')[0]}")


def load_model(path: str | os.PathLike, **kwargs: Any) -> "keras.Model":
    """Loads what `model.save` wrote, as `keras.models.load_model` does.

    Keras itself can load it, too, once a method was used or `import_all` was called.

    Args:
        path: the .keras file.
        **kwargs: see `keras.models.load_model`.
    """
    import_all()
    import keras

    return keras.models.load_model(path, **kwargs)  # pyright: ignore[reportReturnType]


def build(
    name: str, network: Any, num_classes: int, num_examples: int, **kwargs: Any
) -> "NoisyLabelModel":
    """Wraps a network in a method.

    Args:
        name: a key of `METHODS`.
        network: `keras.Model` that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        num_examples: number of training examples; only some methods use it.
        **kwargs: the method's hyperparameters and the arguments of `NoisyLabelModel`.

    Returns:
        The model, not compiled yet.

    Raises:
        InputError: the method is unknown, or an argument is out of range.
    """
    method = get(name)
    counts = (num_classes, num_examples) if method.uses_index else (num_classes,)
    return method(network, *counts, **kwargs)


def resolve(name: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Adds a method's defaults to the given hyperparameters, and checks them all.

    Args:
        name: a key of `METHODS`.
        chosen: values by name; may be empty.

    Returns:
        Values of all hyperparameters of the method, by name.

    Raises:
        InputError: the method or a hyperparameter is unknown, or a value is out of range.
    """
    known = {field.name: field.default for field in hyperparameters_of(name)}
    foreign = [k for k in chosen if k not in known]
    if foreign:
        raise InputError(
            f"{', '.join(foreign)} can't be set: {name} has "
            + (f"the hyperparameters {', '.join(known)}." if known else "no hyperparameters.")
        )
    values = {**known, **chosen}
    if not chosen:
        return values
    import keras

    num_classes = get(name).classes_of(values)
    smallest = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(num_classes)])
    build(name, smallest, num_classes, 1, **values)  # the constructor checks the ranges
    return values


def title(name: str) -> str:
    """How papers write the name of a method, for figures, as in S-Model for s_model."""
    return _TITLES.get(name, name)


def _place(name: str) -> str:
    if name not in METHODS:
        raise InputError(f"method={name} is unknown: choose one of {names()}.")
    return METHODS[name]


def _import(place: str) -> Any:
    import_all()
    module, _, class_name = place.partition(".")
    return getattr(importlib.import_module(f"{__name__}.{module}"), class_name)

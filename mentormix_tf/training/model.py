"""Builds a run's network and the model that trains it."""

import contextlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf import methods, networks
from mentormix_tf.config import RunConfig
from mentormix_tf.errors import InputError
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.methods.co_teaching import CoTeaching
from mentormix_tf.methods.transition_model import ORACLE, TransitionModel
from mentormix_tf.networks import trained_layers
from mentormix_tf.training import recipe

__all__ = ["build_model", "build_network", "set_transition_matrix"]


def build_network(
    config: RunConfig, image_shape: tuple[int, int, int], num_classes: int
) -> keras.Model:
    """Builds a run's network, with the initial weights that its seed draws or its file has.

    Args:
        config: the run, resolved.
        image_shape: the network's input, `(height, width, channels)`.
        num_classes: number of classes.

    Returns:
        The network, of which the layers that the run does not train are frozen.

    Raises:
        InputError: the network can't be built for these images.
    """
    training = config.training
    keras.utils.set_random_seed(training.seed)
    with _precision(training.precision):
        network = networks.build(
            training.network,
            image_shape,
            num_classes,
            training.pretrained,
            training.preprocessing,
        )
    trained_layers.freeze_all_but(network, training.train_layers)
    if training.freeze_batch_norm:
        trained_layers.freeze_batch_norm(network)
    return network


def build_model(config: RunConfig, network: keras.Model, num_examples: int) -> NoisyLabelModel:
    """Builds and compiles a run's model; `build_for` makes the variables that it still lacks.

    Args:
        config: the run, resolved.
        network: the network to train, from `build_network`, or its head alone.
        num_examples: size of the training set.

    Raises:
        InputError: the method can't train this network.
    """
    training = config.training
    model = methods.build(
        config.method,
        network,
        network.output_shape[-1],
        num_examples,
        seed=training.seed,
        label_smoothing=training.label_smoothing,
        logit_clip=training.logit_clip,
        weight_decay=training.weight_decay,
        sam_rho=training.sam_rho,
        ema_decay=training.ema_decay,
        audit_examples=num_examples if training.audit else 0,
        **config.hyperparameters,
    )
    if isinstance(model, CoTeaching) and (
        training.pretrained or networks.keeps_layers(training.network)
    ):
        model.start_peer_from_network()
    schedule = model.shape_schedule(
        recipe.learning_rate(training), training.learning_rate, training.train_steps
    )
    model.compile(
        recipe.optimizer(training, schedule, trained_layers.backbone(network)),
        weighted_metrics=["accuracy"],  # by the weights of evaluation batches
        jit_compile=_jit_compile(training.jit_compile),  # pyright: ignore[reportArgumentType]
        steps_per_execution=training.steps_per_execution,
    )
    return model


def set_transition_matrix(
    model: NoisyLabelModel, manifest: Mapping[str, Any], estimate: np.ndarray | None
) -> None:
    """Gives a method with a transition matrix the one that it starts with; others are left alone.

    Args:
        model: the model, from `build_model`.
        manifest: that of the split, which has the true one; only a method that asks for the oracle
            gets that.
        estimate: `[num_classes, num_classes]`, that of earlier rounds; None without them.

    Raises:
        InputError: the oracle is asked for, and the true labels are unknown.
    """
    if not isinstance(model, TransitionModel):
        return
    if estimate is not None:
        model.set_transition_matrix(estimate)
    elif model.transition_matrix == ORACLE:
        if manifest["realized_noise_rate"] is None:
            raise InputError(
                f"transition_matrix={ORACLE} needs the true labels, which dataset="
                f"{manifest['dataset']} does not have: name a file instead."
            )
        model.set_transition_matrix(manifest["transition_matrix"])


@contextlib.contextmanager
def _precision(name):
    """A context in which new layers compute in a precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if name == "bfloat16" else name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _jit_compile(choice):
    """Whether to use XLA, whose code is slower than TensorFlow's own on a CPU."""
    if choice == "auto":
        return bool(tf.config.get_visible_devices("GPU"))
    return choice == "true"

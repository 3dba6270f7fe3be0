"""Training steps as functions, to be measured."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf import methods
from mentormix_tf.config import RunConfig, TrainingConfig
from mentormix_tf.distribution import strategies
from mentormix_tf.training import model as models

__all__ = ["build", "columns", "stepper"]

_STEP = 500_000  # in a training of twice as many: O2U-Net then records losses at each step


def build(
    method: str,
    network: str | keras.Model,
    shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    num_examples: int = 50_000,
    **training: Any,
):
    """Builds and compiles a method's model, as the train command does.

    Args:
        method: the method.
        network: a network's name, or a network.
        shape: `(height, width, channels)` of the images.
        classes: number of classes.
        num_examples: size of the training set.
        **training: fields of `TrainingConfig`, such as audit.
    """
    options = TrainingConfig(**{"weight_decay": 0.0, **training})
    config = RunConfig(training=options, method=method, hyperparameters=methods.resolve(method, {}))
    if isinstance(network, str):
        config = dataclasses.replace(config, training=dataclasses.replace(options, network=network))
        network = models.build_network(config, shape, classes)
    return models.build_model(config, network, num_examples)


def columns(
    batch_size: int, shape: tuple[int, ...], classes: int = 10, num_examples: int = 50_000
) -> dict[str, np.ndarray]:
    """Makes up batches: `[batches, batch_size, ...]` by column."""
    random = np.random.RandomState(0)
    return {
        "image": random.uniform(0, 255, size=(8, batch_size, *shape)).astype(np.float32),
        "label": random.randint(classes, size=(8, batch_size)),
        "index": random.randint(num_examples, size=(8, batch_size)),
    }


def stepper(model: Any, data: dict[str, np.ndarray]) -> Callable[[], float]:
    """Makes a function that takes one training step, waits for it and returns the loss.

    Args:
        model: a `NoisyLabelModel`, compiled.
        data: from `columns`; the batches are repeated.
    """
    batches = tf.data.Dataset.from_tensor_slices(data).repeat()
    model.build_for(batches.element_spec)
    model.train_steps.assign(2 * _STEP)
    model.step.assign(_STEP)
    strategy = model.distribute_strategy
    assert not strategies.is_multi_worker(strategy)
    advance = model.make_training_loop()
    iterator = iter(strategy.experimental_distribute_dataset(batches))

    def step():
        logs, _ = advance(iterator)
        return float(logs["loss"])

    return step

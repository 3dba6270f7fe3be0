"""Data parameters: a temperature for each example or class, learned with the network."""

import math
from typing import Any, Literal, get_args

import keras
import tensorflow as tf

from mentormix_tf.distribution import replicas
from mentormix_tf.errors import InputError
from mentormix_tf.methods import labels as label_forms
from mentormix_tf.methods.batch import Batch
from mentormix_tf.methods.example_table import ExampleTable, sum_by_example
from mentormix_tf.methods.indexed import IndexedModel

__all__ = ["LARGEST", "MOMENTUM", "DataParameters", "Temperatures"]

Temperatures = Literal["instance", "class", "both"]
LARGEST = math.log(20.0)  # temperatures stay between 1/20 and 20, as published
MOMENTUM = 0.9


@keras.saving.register_keras_serializable("mentormix_tf")
class DataParameters(IndexedModel):
    """Data parameters (Saxena, Tuzel and DeCoste, NeurIPS 2019).

    The loss is the cross-entropy of logits / σ, where σ is exp(s) of the example, or of its class,
    or the sum of both. A wrong label raises its example's σ, which reduces its gradient.
    Predictions do not use σ.

    s starts at 0 (σ = 1), stays between log(1/20) and log(20), and is updated by its own SGD with
    momentum 0.9. A step updates s and momentum only for examples and classes in the batch. The
    gradient is that of the mean over the global batch, computed in closed form,
    ∂loss/∂σ = Σ_j (y_j - p_j)·logit_j / σ² for p = softmax(logits / σ), so that a step's cost does
    not depend on the size of the training set. Weight decay adds decay/2 · Σ s² over the examples
    of the batch, which pulls σ to 1. All this, and the default rates, follow the authors' code.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        num_examples: number of training examples.
        temperatures: which temperatures are learned: instance, class or both.
        temperature_learning_rate: learning rate of the temperatures' logarithms, 0 or more.
        temperature_decay: weight decay of the temperatures' logarithms, 0 or more.
        **kwargs: see `NoisyLabelModel`.

    Raises:
        InputError: an argument is out of range.
    """

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        num_examples: int,
        *,
        temperatures: Temperatures = "instance",
        temperature_learning_rate: float = 0.1,
        temperature_decay: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(network, num_classes, num_examples, **kwargs)
        label_forms.check_smoothing(self.label_smoothing, "data_parameters")
        if temperatures not in get_args(Temperatures):
            raise InputError(
                f"temperatures={temperatures} is unknown: choose one of "
                f"{', '.join(get_args(Temperatures))}."
            )
        if not 0.0 <= temperature_learning_rate < math.inf:
            raise InputError(
                f"temperature_learning_rate={temperature_learning_rate} must not be negative."
            )
        if not 0.0 <= temperature_decay < math.inf:
            raise InputError(f"temperature_decay={temperature_decay} must not be negative.")
        self.temperatures = temperatures
        self.temperature_learning_rate = temperature_learning_rate
        self.temperature_decay = temperature_decay
        kinds = ("instance", "class") if temperatures == "both" else (temperatures,)
        self.log_temperatures = {kind: self._state(kind, "log_temperatures") for kind in kinds}
        self.momenta = {kind: self._state(kind, "momenta") for kind in kinds}

    def example_losses(self, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        sigma: Any = sum(self._sigmas(batch).values())
        return super().example_losses(batch, logits / sigma[:, None])

    def after_step(self, batch: Batch, logits: tf.Tensor) -> None:
        sigmas = self._sigmas(batch)
        total: Any = sum(sigmas.values())
        sigma = total[:, None]
        pull = (batch.labels - tf.nn.softmax(logits / sigma)) * logits / sigma**2
        pull = replicas.gather(tf.reduce_sum(pull, axis=1))
        labels = replicas.gather(batch.labels)
        for kind, part in sigmas.items():
            values, momenta = self.log_temperatures[kind], self.momenta[kind]
            gradients = pull * replicas.gather(part) / tf.cast(tf.size(pull), tf.float32)
            if kind == "instance":
                index = replicas.gather(batch.index)  # pyright: ignore[reportArgumentType]
                counts = sum_by_example(index, tf.ones_like(gradients))
                gradients = sum_by_example(index, gradients)
                before = values.look_up(index), momenta.look_up(index)
                after = self._learned(*before, gradients, counts)
                values.assign(index, after[0])
                momenta.assign(index, after[1])
            else:
                counts = tf.reduce_sum(labels, axis=0)
                gradients = tf.linalg.matvec(labels, gradients, transpose_a=True)
                before = tf.convert_to_tensor(values), tf.convert_to_tensor(momenta)
                after = self._learned(*before, gradients, counts)
                values.assign(after[0])
                momenta.assign(after[1])

    def _state(self, kind: str, name: str) -> Any:
        """A number for each training example (an `ExampleTable`) or class (a variable)."""
        if kind == "instance":
            return ExampleTable(self, f"{kind}_{name}", self.num_examples)
        return self.add_weight(
            name=f"{kind}_{name}",
            shape=(self.num_classes,),
            dtype="float32",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )

    def _sigmas(self, batch):
        """The terms of σ for a batch, by kind; `[batch]` each, float32."""
        found = {}
        for kind, values in self.log_temperatures.items():
            if kind == "instance":
                found[kind] = tf.exp(values.look_up(batch.index))
            else:
                found[kind] = tf.linalg.matvec(batch.labels, tf.exp(tf.convert_to_tensor(values)))
        return found

    def _learned(self, values, momenta, gradients, counts):
        """Takes an SGD step where `counts` is positive; returns new values and momenta."""
        gradients += self.temperature_decay * counts * values
        momenta = tf.where(counts > 0.0, MOMENTUM * momenta + gradients, momenta)
        moved = values - self.temperature_learning_rate * momenta
        moved = tf.where(counts > 0.0, tf.clip_by_value(moved, -LARGEST, LARGEST), values)
        return moved, momenta

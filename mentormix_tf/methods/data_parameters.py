"""Data parameters: a temperature for each example or class, learned with the network."""

import math
from typing import Literal, get_args

import keras
import tensorflow as tf

from mentormix_tf.distribution import replicas
from mentormix_tf.errors import InputError
from mentormix_tf.methods.indexed import IndexedModel

Temperatures = Literal["instance", "class", "both"]
LARGEST = math.log(20.0)  # temperatures stay between 1/20 and 20, as published
MOMENTUM = 0.9


@keras.saving.register_keras_serializable("mentormix_tf")
class DataParameters(IndexedModel):
    """Data parameters (Saxena, Tuzel and DeCoste, NeurIPS 2019).

    The loss is the cross-entropy of logits / σ. σ = exp(s) of the example, or of its class, or the
    sum of both. A wrong label pulls its example's σ up, which takes its gradient down. Predictions
    use no σ.

    s learns by SGD of its own, with momentum 0.9, from 0 (σ = 1) and within log(1/20) and log(20).
    Only what is in the batch moves: its momentum too. The gradient is written out,
    ∂loss/∂σ = Σ_j (y_j - p_j)·logit_j / σ² for p = softmax(logits / σ), so that no optimizer has
    to hold a slot for what is not in the batch. It is that of the mean over the global batch. All
    of this, and the rates, are those of the authors' code. Its weight decay is, too:
    decay/2 · Σ s² over the examples of the batch, which pulls σ to 1.

    Args:
        network: Keras network that gives logits `[batch, num_classes]`.
        num_classes: number of classes.
        num_examples: how many training examples there are.
        temperatures: what has one: instance, class or both.
        temperature_learning_rate: learning rate of s, 0 or more.
        temperature_decay: weight decay of s, 0 or more.
        seed: see `NoisyLabelModel`.

    Raises:
        InputError: an argument out of range.
    """

    def __init__(
        self,
        network,
        num_classes: int,
        num_examples: int,
        *,
        temperatures: Temperatures = "instance",
        temperature_learning_rate: float = 0.1,
        temperature_decay: float = 0.0,
        **kwargs,
    ):
        super().__init__(network, num_classes, num_examples, **kwargs)
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
        sizes = {"instance": [num_examples], "class": [num_classes]}
        if temperatures != "both":
            sizes = {temperatures: sizes[temperatures]}
        self.log_temperatures = {
            k: self.add_state(f"{k}_log_temperatures", sizes[k]) for k in sizes
        }
        self.momenta = {k: self.add_state(f"{k}_momenta", sizes[k]) for k in sizes}

    def example_losses(self, labels, logits, index):
        sigma = sum(self._sigmas(labels, index).values())
        return super().example_losses(labels, logits / sigma[:, None], index)

    def after_step(self, labels, logits, index):
        sigmas = self._sigmas(labels, index)
        sigma = sum(sigmas.values())[:, None]
        pull = (labels - tf.nn.softmax(logits / sigma)) * logits / sigma**2
        pull = replicas.gather(tf.reduce_sum(pull, axis=1))
        labels, index = replicas.gather(labels), replicas.gather(index)
        for kind, part in sigmas.items():
            gradients = pull * replicas.gather(part) / tf.cast(tf.size(pull), tf.float32)
            if kind == "instance":
                counts = self.sum_by_example(tf.ones_like(gradients), index)
                self._learn(kind, self.sum_by_example(gradients, index), counts)
            else:
                counts = tf.reduce_sum(labels, axis=0)
                self._learn(kind, tf.linalg.matvec(labels, gradients, transpose_a=True), counts)

    def _sigmas(self, labels, index):
        """Each part of σ for a batch: a dict from its kind to `[batch]`, float32."""
        found = {}
        for kind, values in self.log_temperatures.items():
            sigmas = tf.exp(tf.convert_to_tensor(values))
            if kind == "instance":
                found[kind] = self.look_up(sigmas, index)
            else:
                found[kind] = tf.linalg.matvec(labels, sigmas)
        return found

    def _learn(self, kind, gradients, counts):
        """One step of SGD for those of a kind that the batch counts."""
        values = tf.convert_to_tensor(self.log_temperatures[kind])
        before = tf.convert_to_tensor(self.momenta[kind])
        gradients += self.temperature_decay * counts * values
        momenta = tf.where(counts > 0.0, MOMENTUM * before + gradients, before)
        moved = values - self.temperature_learning_rate * momenta
        moved = tf.where(counts > 0.0, tf.clip_by_value(moved, -LARGEST, LARGEST), values)
        self.momenta[kind].assign(momenta)
        self.log_temperatures[kind].assign(moved)

"""Early-learning regularization: predictions stay near what they were early in training."""

import math
from typing import Any

import keras
import tensorflow as tf

from mentormix_tf.distribution import replicas
from mentormix_tf.errors import InputError
from mentormix_tf.methods.batch import Batch
from mentormix_tf.methods.example_table import ExampleTable, first_occurrence
from mentormix_tf.methods.indexed import IndexedModel

__all__ = ["ELR", "SMALLEST"]

SMALLEST = 1e-4  # probabilities stay in [SMALLEST, 1 - SMALLEST], as in the authors' code


@keras.saving.register_keras_serializable("mentormix_tf")
class ELR(IndexedModel):
    """Early-learning regularization (Liu, Niles-Weed, Razavian and Fernandez-Granda, NeurIPS 2020).

    The loss is ℓ + λ·log(1 - ⟨t, p⟩) (section 4.1). t is the example's target, a moving average of
    its own predictions, t ← β·t + (1 - β)·p (section 4.2), which starts at 0 and is updated before
    it is used. The network learns the right labels first, so that t points to them; where it would
    then learn a wrong label, the second term opposes it. No gradient flows through t.

    As in the authors' code, p is limited to [1e-4, 1 - 1e-4] in both formulas, and divided by its
    sum before it enters t. The defaults are published for CIFAR-10 with symmetric noise; β is 0.9
    and λ is 1 for its asymmetric noise, and 7 for CIFAR-100. The authors' ELR+ (two networks,
    mixup, averaged weights) is not implemented.

    The targets take 4 · num_examples · num_classes bytes on each replica.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        num_examples: number of training examples.
        beta: β, the share of an example's target that each update keeps, in [0, 1).
        elr_lambda: λ, the weight of the term that opposes the learning of wrong labels, 0 or more.
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
        beta: float = 0.7,
        elr_lambda: float = 3.0,
        **kwargs: Any,
    ):
        super().__init__(network, num_classes, num_examples, **kwargs)
        if not 0.0 <= beta < 1.0:
            raise InputError(f"beta={beta} must lie in [0, 1).")
        if not 0.0 <= elr_lambda < math.inf:
            raise InputError(f"elr_lambda={elr_lambda} must be a number of at least 0.")
        self.beta = beta
        self.elr_lambda = elr_lambda
        self.targets = ExampleTable(self, "targets", num_examples, (num_classes,))

    def begin_training(self, train_steps: int, first_step: int = 0) -> None:
        super().begin_training(train_steps, first_step)
        if self.step == first_step:  # forget what an earlier training predicted
            self.targets.reset()

    def example_losses(self, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        similarity = tf.reduce_sum(self._updated(batch, logits) * _limited(logits), axis=1)
        term = tf.math.log1p(-similarity)
        return super().example_losses(batch, logits) + self.elr_lambda * term

    def after_step(self, batch: Batch, logits: tf.Tensor) -> None:
        index = replicas.gather(batch.index)  # pyright: ignore[reportArgumentType]
        targets = replicas.gather(self._updated(batch, logits))
        # An example that occurs twice gets the target of its first occurrence.
        self.targets.assign(index, tf.gather(targets, first_occurrence(index)))

    def _updated(self, batch, logits):
        """The targets of a batch after this step's update, `[batch, num_classes]`."""
        p = _limited(logits)
        p /= tf.reduce_sum(p, axis=1, keepdims=True)
        before = self.targets.look_up(batch.index)
        return tf.stop_gradient(self.beta * before + (1.0 - self.beta) * p)


def _limited(logits):
    return tf.clip_by_value(tf.nn.softmax(logits), SMALLEST, 1.0 - SMALLEST)

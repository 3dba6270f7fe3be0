"""What methods share that keep something for each training example."""

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf.errors import InputError
from mentormix_tf.methods.base import NoisyLabelModel


class IndexedModel(NoisyLabelModel):
    """A method that keeps values for each training example.

    It trains on dicts with the key `index`, too: `[batch]`, each example's position in the training
    set. An index out of range gives NaN, which shows in the loss, as a label out of range does.

    Args:
        network: Keras network that gives logits `[batch, num_classes]`.
        num_classes: number of classes.
        num_examples: how many training examples there are.
        seed: see `NoisyLabelModel`.

    Raises:
        InputError: `num_examples` below 1.
    """

    uses_index = True

    def __init__(self, network, num_classes: int, num_examples: int, **kwargs):
        super().__init__(network, num_classes, **kwargs)
        if num_examples < 1:
            raise InputError(f"num_examples={num_examples} must be at least 1.")
        self.num_examples = num_examples

    def example_losses(self, labels, logits, index):
        return super().example_losses(labels, logits)

    def example_weights(self, losses, index):
        return super().example_weights(losses)

    def after_step(self, labels, logits, index):
        return super().after_step(labels, logits)

    def add_state(self, name, shape, value=0.0):
        """A float32 variable that every replica sets to the same values.

        Args:
            name: name of the variable.
            shape: its shape.
            value: what it starts from.
        """
        return self.add_weight(
            name=name,
            shape=shape,
            dtype="float32",
            initializer=keras.initializers.Constant(value),
            trainable=False,
            aggregation="only_first_replica",
        )

    def look_up(self, values, index):
        """The values of some examples; NaN for an index out of range.

        Args:
            values: `[num_examples]`, float32.
            index: `[batch]`, int64.

        Returns:
            `[batch]`, float32.
        """
        in_range = (index >= 0) & (index < self.num_examples)
        found = tf.gather(values, tf.where(in_range, index, 0))
        return tf.where(in_range, found, np.nan)

    def sum_by_example(self, values, index):
        """Sums values by example; an example may be there more than once.

        Args:
            values: `[global batch]`, float32.
            index: `[global batch]`, int64; one out of range is left out.

        Returns:
            `[num_examples]`, float32.
        """
        in_range = (index >= 0) & (index < self.num_examples)
        return tf.math.unsorted_segment_sum(
            values, tf.where(in_range, index, -1), self.num_examples
        )

    def get_config(self):
        return {**super().get_config(), "num_examples": self.num_examples}

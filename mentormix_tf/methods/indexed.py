"""The base class of methods that keep values for each training example."""

from typing import Any

import keras

from mentormix_tf.errors import InputError
from mentormix_tf.methods.base import NoisyLabelModel

__all__ = ["IndexedModel"]


class IndexedModel(NoisyLabelModel):
    """A method that keeps values for each training example, see `ExampleTable`.

    Batches must be dicts with the keys `image`, `label` and `index`: `[batch]`, each example's
    position in the training set. An index out of range makes the loss NaN, as a label out of range
    does.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        num_examples: number of training examples.
        **kwargs: see `NoisyLabelModel`.

    Raises:
        InputError: `num_examples` is below 1.
    """

    uses_index = True

    def __init__(self, network: keras.Model, num_classes: int, num_examples: int, **kwargs: Any):
        super().__init__(network, num_classes, **kwargs)
        if num_examples < 1:
            raise InputError(f"num_examples={num_examples} must be at least 1.")
        self.num_examples = num_examples

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_examples": self.num_examples}

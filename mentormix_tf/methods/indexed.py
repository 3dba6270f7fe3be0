"""The base class of methods that keep something for each training example."""

from mentormix_tf.errors import InputError
from mentormix_tf.methods.base import NoisyLabelModel


class IndexedModel(NoisyLabelModel):
    """A method that keeps values for each training example, see `ExampleTable`.

    It trains on dicts that have the key `index`, too: `[batch]`, each example's position in the
    training set. An index out of range makes the loss NaN, as a label out of range does.

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

    def get_config(self):
        return {**super().get_config(), "num_examples": self.num_examples}

"""All uses of Keras's internals, which are undocumented and may change.

tests/distribution/test_keras_internals.py fails if Keras changes what this file relies on.
"""

from typing import Any

import keras
import tensorflow as tf

__all__ = [
    "BuildableModel",
    "calls_from_the_end",
    "flatten_layers",
    "has_unbuilt_layers",
    "kernels",
    "last_operations",
    "learnable_weights",
    "moving_statistics",
    "optimizer_argument",
    "seed_states",
    "slots",
]


def flatten_layers(layer: keras.Layer) -> list[keras.Layer]:
    """Lists a layer (or model) and all layers inside it, at any depth, each once."""
    return layer._flatten_layers()


def seed_states(layer: keras.Layer) -> list[keras.Variable]:
    """Lists the states of seed generators, such as Dropout's, in the order of `layer.variables`.

    Each is `[2]`, of an integer dtype. Relies on the name that `keras.random.SeedGenerator` gives
    its variable.
    """
    return [v for v in layer.variables if v.name == "seed_generator_state"]


def kernels(layer: keras.Layer) -> list[keras.Variable]:
    """Lists the trainable kernels of all convolutions and dense layers: no bias, no BatchNorm.

    Relies on the names that these layers give their kernels, such as `depthwise_kernel`.
    """
    return [v for v in layer.trainable_weights if v.name.endswith("kernel")]


def learnable_weights(layer: keras.Layer) -> list[keras.Variable]:
    """Lists the weights that are trainable, or would be if no layer were frozen.

    Relies on the list in which a layer keeps them, frozen or not.
    """
    found = {id(v) for each in flatten_layers(layer) for v in each._trainable_variables}
    return [variable for variable in layer.weights if id(variable) in found]


def moving_statistics(network: keras.Model) -> list[keras.Variable]:
    """Lists the variables that a pass updates in trainable layers: BatchNorm's statistics."""
    layers = flatten_layers(network)
    frozen = {id(v) for layer in layers if not layer.trainable for v in layer.variables}
    variables = network.non_trainable_variables
    return [v for v in variables if id(v) not in frozen and "float" in v.dtype]


def slots(optimizer: keras.Optimizer) -> list[keras.Variable]:
    """Lists what an optimizer keeps for the variables that it trains, such as momentum.

    Relies on the attribute that has the learning rate, a variable or a schedule.
    """
    own = {id(optimizer.iterations), id(optimizer._learning_rate)}
    return [variable for variable in optimizer.variables if id(variable) not in own]


def has_unbuilt_layers(layer: keras.Layer) -> bool:
    """Whether a layer, or one inside it, has yet to create its variables."""
    return not all(each.built for each in flatten_layers(layer))


def calls_from_the_end(
    network: keras.Model,
) -> list[tuple[keras.Operation, keras.KerasTensor | None]]:
    """Lists the operations that make a network's output, from the last one back.

    Each takes the output of the next. The list ends before an operation of several inputs, and is
    empty for subclassed networks, whose operations are unknown. A network inside the network is one
    operation.

    Returns:
        Each operation with its input; None for an operation of several inputs or of none.
    """
    found, outputs = [], getattr(network, "outputs", None)
    while outputs:
        operation, node, _ = outputs[0]._keras_history
        inputs = operation._inbound_nodes[node].input_tensors
        outputs = inputs if len(inputs) == 1 else None
        found.append((operation, outputs[0] if outputs else None))
    return found


def last_operations(network: keras.Model) -> list[keras.Operation]:
    """Lists the operations of `calls_from_the_end`, and enters a network inside the network."""
    found = []
    for operation, _ in calls_from_the_end(network):
        if getattr(operation, "outputs", None):
            return [*found, *last_operations(operation)]  # pyright: ignore[reportArgumentType]
        found.append(operation)
    return found


def optimizer_argument(optimizer: keras.Optimizer, name: str) -> Any:
    """Returns an argument that an optimizer was created with, such as `clipnorm`.

    Relies on the attribute of the same name; only the argument is documented.
    """
    return getattr(optimizer, name)


class BuildableModel(keras.Model):
    """A Keras model that creates its variables without running, under every strategy."""

    def build_for(self, element_spec: Any) -> None:
        """Creates all variables that training needs, including metrics and optimizer slots.

        Args:
            element_spec: nested structure of `tf.TensorSpec` that describes one batch, such as the
                `element_spec` of a `tf.data.Dataset`.
        """
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=element_spec)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Called by `fit` and `evaluate`. Keras takes shapes from the mean of a batch over replicas,
        # which several workers can't compute; the batch of one replica has the same shapes.
        strategy = self.distribute_strategy
        if iterator is not None and strategy.num_replicas_in_sync > 1:
            if self._is_ready():
                return
            _, _, batches = next(iter(iterator))
            first = next(iter(batches))
            data_batch = tf.nest.map_structure(
                lambda value: strategy.experimental_local_results(value)[0], first
            )
            iterator = None
        super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)

    def _is_ready(self):
        """Whether all variables that `fit` needs exist."""
        parts = [*flatten_layers(self), *self.metrics, self.optimizer]
        return all(getattr(part, "built", True) for part in parts)

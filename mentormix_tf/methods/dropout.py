"""Dropout before the classifier."""

from typing import Any

import keras
import tensorflow as tf

from mentormix_tf.errors import InputError
from mentormix_tf.methods.base import NoisyLabelModel

__all__ = ["FeatureDropout"]


@keras.saving.register_keras_serializable("mentormix_tf")
class FeatureDropout(NoisyLabelModel):
    """Vanilla training with dropout, the "Dropout" row of the paper's Table 2.

    In training, each input of the last dense layer is kept with probability 1 - rate and divided
    by that, else set to 0. (Srivastava et al., JMLR 2014, whose rate for hidden units is the
    default. The paper tunes it.) `model.network` is not changed: it has no dropout layer.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`: Sequential or functional,
            with a Dense layer among its own layers.
        num_classes: number of classes.
        dropout_rate: share of the features that are dropped, in [0, 1).
        **kwargs: see `NoisyLabelModel`.

    Raises:
        InputError: the rate is out of range, or the network has no such layer.
    """

    def __init__(
        self, network: keras.Model, num_classes: int, *, dropout_rate: float = 0.5, **kwargs: Any
    ):
        super().__init__(network, num_classes, **kwargs)
        if not 0.0 <= dropout_rate < 1.0:
            raise InputError(f"dropout_rate={dropout_rate} must lie in [0, 1).")
        self.dropout_rate = dropout_rate
        if network.built:
            self._add_dropout()

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self._add_dropout()

    def call(
        self, inputs: tf.Tensor | dict[str, tf.Tensor], training: bool | None = None
    ) -> tf.Tensor:
        if not training:
            return super().call(inputs)
        return self.training_network(
            inputs["image"] if isinstance(inputs, dict) else inputs, training=True
        )

    def _add_dropout(self):
        """Makes `training_network`, which shares the network's layers and adds a dropout layer."""
        network = self.network
        is_graph = isinstance(network, keras.Sequential) or hasattr(network, "operations")
        dense = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
        if not is_graph or not dense:
            raise InputError(
                f"The network {network.name} has no last dense layer to put dropout before: use "
                "a Sequential or functional network with a Dense layer of its own."
            )
        dropout = keras.layers.Dropout(self.dropout_rate, dtype=dense[-1].dtype_policy)

        def drop_features(layer, *args, **kwargs):
            if layer is dense[-1]:
                args = (dropout(args[0]), *args[1:])
            return layer(*args, **kwargs)

        self.training_network = keras.models.clone_model(
            keras.Model(network.inputs, network.outputs[0]),
            clone_function=lambda layer: layer,
            call_function=drop_features,
        )

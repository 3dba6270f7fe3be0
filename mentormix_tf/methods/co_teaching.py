"""Co-teaching: two networks, each of which learns from what the other finds easy."""

from typing import Any

import keras
import tensorflow as tf

from mentormix_tf.distribution import keras_internals, replicas
from mentormix_tf.errors import InputError
from mentormix_tf.methods import network_checks
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.methods.batch import Batch
from mentormix_tf.methods.watch import WEIGHT_METRICS
from mentormix_tf.networks import trained_layers

__all__ = ["CoTeaching"]


@keras.saving.register_keras_serializable("mentormix_tf")
class CoTeaching(NoisyLabelModel):
    """Co-teaching (Han et al., NeurIPS 2018): cross-entropy of what the peer finds cheapest.

    Two networks with other initial weights see the same batches. Each names the share R of the
    batch with its lowest losses, and the other one learns from these, so that they filter each
    other's mistakes. R = 1 - forget_rate · min(1, progress / forget_ramp). The published forget
    rate is the noise rate, the published ramp 10 of 200 epochs. The loss is the sum of both
    networks'.

    `model.network` is the first of the two, which is evaluated, saved and exported; `model.peer` is
    the other. A step costs twice as much as plain training.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        forget_rate: share of each batch that is left out, in [0, 1).
        forget_ramp: fraction of training, in [0, 1], in which that share rises linearly from 0.
        **kwargs: see `NoisyLabelModel`.

    Raises:
        InputError: an argument is out of range, or the network is a subclassed model that does not
            tell the arguments of its constructor.
    """

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        *,
        forget_rate: float = 0.4,
        forget_ramp: float = 0.05,
        **kwargs: Any,
    ):
        super().__init__(network, num_classes, **kwargs)
        if not 0.0 <= forget_rate < 1.0:
            raise InputError(f"forget_rate={forget_rate} must lie in [0, 1).")
        if not 0.0 <= forget_ramp <= 1.0:
            raise InputError(f"forget_ramp={forget_ramp} must lie in [0, 1].")
        self.forget_rate = forget_rate
        self.forget_ramp = forget_ramp
        network_checks.check_can_be_saved(network)  # else Keras could not make it again
        self.peer = keras.models.clone_model(network)  # with initial weights of its own
        self.watch.add(*WEIGHT_METRICS)

    def start_peer_from_network(self) -> None:
        """Gives the peer the network's weights, but for those of the last layer.

        For networks that start from trained weights, which the peer needs as well.
        """
        layers = map(trained_layers.backbone, (self.network, self.peer))
        for own, other in zip(*layers, strict=True):
            other.set_weights(own.get_weights())

    def example_losses(self, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        peer_logits = self.clipped(tf.cast(self.peer(batch.images, training=True), tf.float32))
        own = super().example_losses(batch, logits)
        peers = super().example_losses(batch, peer_logits)
        taught, teaches = self._cheapest(peers), self._cheapest(own)
        self.watch.log_weights(batch, tf.cast(taught > 0.0, tf.float32))
        return taught * own + teaches * peers

    def trained_networks(self) -> list[keras.Model]:
        return [self.network, self.peer]

    def build(self, input_shape: Any) -> None:
        if keras_internals.has_unbuilt_layers(self.peer):
            shape = input_shape["image"] if isinstance(input_shape, dict) else input_shape
            self.peer(keras.KerasTensor((None, *shape[1:])))
        super().build(input_shape)

    def _cheapest(self, losses):
        """Weights `[batch]` by which the mean over the global batch is one over its cheapest."""
        of_all = replicas.gather(tf.stop_gradient(losses))
        size = tf.cast(tf.size(of_all), tf.float32)
        # Where the ramp is 0, the share is left out from the first step on.
        ramp = tf.minimum(self.progress() / max(self.forget_ramp, 1e-9), 1.0)
        ramp = ramp if self.forget_ramp else tf.ones_like(ramp)
        # Rounded first: 0.6 times 10 is 5.9999998.
        kept = tf.floor(tf.round((1.0 - self.forget_rate * ramp) * size * 1e4) / 1e4)
        position = tf.maximum(tf.cast(kept, tf.int32), 1) - 1
        highest = tf.gather(tf.sort(of_all), position)
        count = tf.reduce_sum(tf.cast(of_all <= highest, tf.float32))
        return tf.cast(losses <= highest, tf.float32) * size / count

"""Dynamic bootstrapping: a beta mixture of the losses estimates which labels are wrong."""

import dataclasses
import math
from typing import Any

import keras
import tensorflow as tf

from mentormix_tf import mixing, randomness
from mentormix_tf.distribution import replicas
from mentormix_tf.errors import InputError
from mentormix_tf.methods import beta_mixture
from mentormix_tf.methods import labels as label_forms
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.methods.batch import Batch

__all__ = ["DynamicBootstrap"]


@keras.saving.register_keras_serializable("mentormix_tf")
class DynamicBootstrap(NoisyLabelModel):
    """Mixup with dynamic hard bootstrapping, M-DYR-H (Arazo et al., ICML 2019).

    Two beta distributions are fitted to the losses, see `beta_mixture`; w_i is the posterior
    probability that label i is wrong. Each label becomes (1 - w_i)·y_i + w_i·z_i, with z_i one-hot
    at the network's most likely class for the unmixed image; then images and labels are mixed up.
    During burn-in w is 0, so that this is plain mixup. After burn-in, `class_balance` times
    Σ_c 1/C · log(1/C / p̄_c) is added to the cross-entropy, where p̄ is the mean softmax of a
    replica's batch: it keeps the network from predicting one class for everything. The published
    settings are alpha = 32, class_balance = 1 and a burn-in of 105 of 300 epochs.

    Differences from the published method: there, the mixture is fitted once per epoch to the
    losses of the whole training set, evaluated for that purpose. Here it is fitted at each step to
    the last `loss_memory` losses, as computed in earlier steps. The losses and z come from a pass
    with the batch's own statistics (see `first_pass_logits`); there, the losses come from the
    network in inference mode, and the pass that z comes from also updates BatchNorm's moving
    statistics. The published learning rate drops to a tenth at epoch 100, just before labels are
    corrected. Partners and λ are drawn as in `Mixup`.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        alpha: λ ~ Beta(alpha, alpha); a large alpha mixes half and half, 0 or less disables mixing.
        burn_in: fraction of training, in [0, 1], in which every label is trusted.
        class_balance: weight of the term that balances the predicted classes, 0 or more.
        loss_memory: number of losses that the mixture is fitted to, at least 2.
        **kwargs: see `NoisyLabelModel`.

    Raises:
        InputError: an argument is out of range.
    """

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        *,
        alpha: float = 32.0,
        burn_in: float = 0.35,
        class_balance: float = 1.0,
        loss_memory: int = 4096,
        **kwargs: Any,
    ):
        super().__init__(network, num_classes, **kwargs)
        label_forms.check_smoothing(self.label_smoothing, "dynamic_bootstrap")
        if not math.isfinite(alpha):
            raise InputError(f"alpha={alpha} must be a finite number.")
        if not 0.0 <= burn_in <= 1.0:
            raise InputError(f"burn_in={burn_in} must lie in [0, 1]: it is a fraction of training.")
        if not 0.0 <= class_balance < math.inf:
            raise InputError(f"class_balance={class_balance} must not be negative.")
        if loss_memory < 2:
            raise InputError(f"loss_memory={loss_memory} must be at least 2.")
        self.alpha = alpha
        self.burn_in = burn_in
        self.class_balance = class_balance
        self.loss_memory = loss_memory
        # Every replica keeps the losses of all replicas. Unused places are negative.
        self.last_losses = self.add_weight(
            name="last_losses",
            shape=[loss_memory],
            dtype="float32",
            initializer=keras.initializers.Constant(-1.0),
            trainable=False,
            aggregation="only_first_replica",
        )
        self.watch.add("mean_w", *(["lambda"] if alpha > 0 else []))

    def mix(self, batch: Batch) -> Batch:
        logits = self.first_pass_logits(batch.images)
        losses = super().example_losses(batch, logits)
        w = self._wrong_label_probability(losses)[:, None]
        self.watch.values(mean_w=w)
        guesses = tf.one_hot(tf.argmax(logits, axis=1), self.num_classes)
        labels = (1.0 - w) * batch.labels + w * guesses
        batch = dataclasses.replace(batch, labels=labels, first_logits=logits)
        if self.alpha <= 0:
            return batch
        seed, size = self.step_seed(), tf.shape(losses)
        uniform = tf.fill(size, 1.0 / tf.cast(size[0], tf.float32))
        partners = mixing.sample_partners(uniform, randomness.fold_in(seed, 0))
        lam = mixing.sample_beta(size, self.alpha, randomness.fold_in(seed, 1))
        self.watch.values(**{"lambda": lam})
        return batch.mixed_up(partners, lam)

    def example_losses(self, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        losses = super().example_losses(batch, logits)
        mean = tf.reduce_mean(tf.nn.softmax(logits), axis=0)
        imbalance = -math.log(self.num_classes) - tf.reduce_mean(tf.math.log(mean + 1e-30))
        return losses + self.class_balance * tf.where(self._burns_in(), 0.0, imbalance)

    def _wrong_label_probability(self, losses):
        """Computes w, `[batch]`, float32, and stores the losses for later steps."""
        memory = tf.convert_to_tensor(self.last_losses)
        w = beta_mixture.wrong_label_probability(beta_mixture.fit(memory), losses)
        everyones = replicas.gather(losses)
        self.last_losses.assign(tf.concat([memory, everyones], axis=0)[-self.loss_memory :])
        # Without stored losses, the mixture is NaN.
        return tf.where(self._burns_in() | ~tf.reduce_any(memory >= 0.0), 0.0, w)

    def _burns_in(self):
        return self.progress() < self.burn_in

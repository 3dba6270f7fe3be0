"""What every mentor shares: the moving percentile γ of the losses, and the burn-in."""

from typing import Literal, get_args

import keras
import tensorflow as tf

from mentormix_tf.distribution import replicas
from mentormix_tf.errors import InputError

Interpolation = Literal["nearest", "linear", "lower", "higher", "midpoint"]


class Mentor(keras.layers.Layer):
    """Turns the losses of a batch into example weights v (Algorithm 1, steps 2 to 4).

    γ follows the `gamma_p`-th percentile of the losses of the *global* batch as an exponential
    moving average that starts at 0 and is updated before it is used. During burn-in every weight
    is 1 while γ already moves. (The start, the order and the burn-in: the released code.)

    Subclasses say in `weigh` what v is, given the losses and γ.

    Args:
        gamma_p: which percentile γ follows, as a fraction in [0, 1].
        loss_ema_decay: in [0, 1); γ ← decay·γ + (1 - decay)·percentile.
        percentile_interpolation: what the percentile is between two losses, as in
            `numpy.percentile`.
        burn_in: fraction of training, in [0, 1], in which every weight is 1.

    Raises:
        InputError: an argument outside its range.
    """

    def __init__(
        self,
        gamma_p: float,
        loss_ema_decay: float = 0.5,
        percentile_interpolation: Interpolation = "nearest",
        burn_in: float = 0.0,
        **kwargs,
    ):
        # Losses and γ stay in float32 whatever the network computes in.
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not 0.0 <= gamma_p <= 1.0:
            raise InputError(f"gamma_p={gamma_p} must lie in [0, 1]: it is a fraction of a batch.")
        if not 0.0 <= loss_ema_decay < 1.0:
            raise InputError(f"loss_ema_decay={loss_ema_decay} must lie in [0, 1).")
        if percentile_interpolation not in get_args(Interpolation):
            raise InputError(
                f"percentile_interpolation={percentile_interpolation} is unknown: "
                f"choose one of {', '.join(get_args(Interpolation))}."
            )
        if not 0.0 <= burn_in <= 1.0:
            raise InputError(f"burn_in={burn_in} must lie in [0, 1]: it is a fraction of training.")
        self.gamma_p = gamma_p
        self.loss_ema_decay = loss_ema_decay
        self.percentile_interpolation = percentile_interpolation
        self.burn_in = burn_in
        # Every replica computes the same γ, so that of the first is theirs all.
        self.gamma = self.add_weight(
            name="gamma",
            shape=(),
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )
        self.built = True

    def call(self, losses, progress):
        """Moves γ by this batch's losses, then weighs them.

        Args:
            losses: `[batch]`, float32, this replica's losses.
            progress: scalar float32, the fraction of training that is done.

        Returns:
            `[batch]`, float32, weights in [0, 1].
        """
        percentile = keras.ops.quantile(
            replicas.gather(losses), self.gamma_p, method=self.percentile_interpolation
        )
        gamma = self.loss_ema_decay * self.gamma + (1.0 - self.loss_ema_decay) * percentile
        self.gamma.assign(gamma)
        return tf.where(progress < self.burn_in, 1.0, self.weigh(losses, gamma, progress))

    def weigh(self, losses, gamma, progress):
        """Says how far each example is to be trusted.

        Args:
            losses: `[batch]`, float32.
            gamma: scalar float32, the moving percentile with this batch in it.
            progress: scalar float32, the fraction of training that is done.

        Returns:
            `[batch]`, float32, weights in [0, 1].
        """
        raise NotImplementedError

    def get_config(self):
        return {
            **super().get_config(),
            "gamma_p": self.gamma_p,
            "loss_ema_decay": self.loss_ema_decay,
            "percentile_interpolation": self.percentile_interpolation,
            "burn_in": self.burn_in,
        }

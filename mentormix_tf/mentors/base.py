"""The base class of mentors: the moving percentile γ of the losses, and the burn-in."""

from typing import Any, get_args

import keras
import tensorflow as tf

from mentormix_tf.config.choices import GammaP, Interpolation
from mentormix_tf.distribution import replicas
from mentormix_tf.errors import InputError

__all__ = ["Mentor"]


class Mentor(keras.layers.Layer):
    """Turns the losses of a batch into example weights v (Algorithm 1, steps 2 to 4).

    γ is an exponential moving average of the `gamma_p`-th percentile of the losses of the *global*
    batch. It starts at 0 and is updated before it is used. During burn-in every weight is 1, but γ
    is updated. (Initial value, order and burn-in follow the released code.)

    Subclasses compute v from the losses and γ in `weigh`.

    Args:
        gamma_p: the percentile, as a fraction in [0, 1]; or auto if each call gives it.
        loss_ema_decay: in [0, 1); γ ← decay·γ + (1 - decay)·percentile.
        percentile_interpolation: the percentile between two losses, as in `numpy.percentile`.
        burn_in: fraction of training, in [0, 1], in which every weight is 1.
        **kwargs: arguments of `keras.layers.Layer`.

    Raises:
        InputError: an argument is out of range.
    """

    def __init__(
        self,
        gamma_p: GammaP,
        loss_ema_decay: float = 0.5,
        percentile_interpolation: Interpolation = "nearest",
        burn_in: float = 0.0,
        **kwargs: Any,
    ):
        # Losses and γ are float32, whatever the network's compute dtype.
        super().__init__(**{**kwargs, "dtype": "float32"})
        if isinstance(gamma_p, str) and gamma_p != "auto":
            raise InputError(f"gamma_p={gamma_p} must be a number or auto.")
        if not isinstance(gamma_p, str) and not 0.0 <= gamma_p <= 1.0:
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
        # Every replica computes the same γ, so any of them may be kept.
        self.gamma = self.add_weight(
            name="gamma",
            shape=(),
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )
        self.built = True

    def call(
        self,
        losses: tf.Tensor,
        progress: tf.Tensor | float,
        gamma_p: tf.Tensor | GammaP | None = None,
    ) -> tf.Tensor:
        """Updates γ with the losses of a batch, then computes the weights.

        Args:
            losses: `[batch]`, float32, this replica's losses.
            progress: scalar, float32, in [0, 1], the fraction of training that is done.
            gamma_p: the percentile of this batch, by default the mentor's own.

        Returns:
            `[batch]`, float32, weights in [0, 1].
        """
        percentile: Any = keras.ops.quantile(
            replicas.gather(losses),
            self.gamma_p if gamma_p is None else gamma_p,
            method=self.percentile_interpolation,
        )
        gamma = self.loss_ema_decay * self.gamma + (1.0 - self.loss_ema_decay) * percentile
        self.gamma.assign(gamma)
        return tf.where(progress < self.burn_in, 1.0, self.weigh(losses, gamma, progress))

    def weigh(
        self, losses: tf.Tensor, gamma: tf.Tensor | float, progress: tf.Tensor | float
    ) -> tf.Tensor:
        """Computes the weight of each example.

        Args:
            losses: `[batch]`, float32.
            gamma: scalar, float32, the moving percentile, updated with this batch.
            progress: scalar, float32, in [0, 1], the fraction of training that is done.

        Returns:
            `[batch]`, float32, weights in [0, 1].
        """
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "gamma_p": self.gamma_p,
            "loss_ema_decay": self.loss_ema_decay,
            "percentile_interpolation": self.percentile_interpolation,
            "burn_in": self.burn_in,
        }

"""MentorNet: the network learns from the examples that a mentor trusts."""

from typing import Any

import keras
import tensorflow as tf

from mentormix_tf import mentors
from mentormix_tf.config.choices import GammaP, Interpolation, MentorKind
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.methods.batch import Batch
from mentormix_tf.methods.watch import WEIGHT_METRICS

__all__ = ["MentorNet"]


@keras.saving.register_keras_serializable("mentormix_tf")
class MentorNet(NoisyLabelModel):
    """MentorNet (Jiang et al., ICML 2018): loss = mean of v·cross-entropy over the batch.

    v is the mentor's weight for each example's loss, see `mentormix_tf.mentors`. The default of
    `gamma_p` is published for 20 and 40 % noise (0.5 for 80 %). The burn-in is that of MentorMix's
    released code, so that the two can be compared. MentorNet itself has no burn-in but drops
    examples at random, half of them in the first 17 % of training and 5 % later, and scales weight
    decay by the mean of v, which is not done here.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        gamma_p: percentile of the losses that γ follows, in [0, 1]: about the share of labels
            that are right; or auto, the share that the network agrees with, at first at least 0.5.
        burn_in: fraction of training, in [0, 1], in which every label is trusted.
        loss_ema_decay: decay of γ, a moving average of the percentile, in [0, 1).
        percentile_interpolation: the percentile between two losses, as in numpy.percentile.
        mentor: threshold, or mentornet_pd, a small network trained to weight examples.
        mentornet_checkpoint: weights of mentornet_pd: an .npz file that train_mentor wrote, or a
            TF1 checkpoint's folder or path; by default those of this package.
        **kwargs: see `NoisyLabelModel`.

    Raises:
        InputError: an argument is out of range, or the checkpoint can't be read.
    """

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        *,
        gamma_p: GammaP = 0.75,
        burn_in: float = 0.09,
        loss_ema_decay: float = 0.5,
        percentile_interpolation: Interpolation = "nearest",
        mentor: MentorKind = "threshold",
        mentornet_checkpoint: str = "",
        **kwargs: Any,
    ):
        super().__init__(network, num_classes, **kwargs)
        self.gamma_p = gamma_p
        self.burn_in = burn_in
        self.loss_ema_decay = loss_ema_decay
        self.percentile_interpolation = percentile_interpolation
        self.mentornet_checkpoint = mentornet_checkpoint
        self.mentor_kind = mentor
        self.mentor = mentors.build(
            mentor,
            mentornet_checkpoint,
            gamma_p=gamma_p,
            loss_ema_decay=loss_ema_decay,
            percentile_interpolation=percentile_interpolation,
            burn_in=burn_in,
            name="mentor",
        )
        self.agreement = mentors.LabelAgreement(name="agreement") if gamma_p == "auto" else None
        self.watch.add(*(["gamma_p"] if gamma_p == "auto" else []), "gamma", *WEIGHT_METRICS)

    def example_weights(self, batch: Batch, losses: tf.Tensor) -> tf.Tensor:
        gamma_p = None
        if self.agreement is not None:
            progress = self.progress()
            gamma_p = self.agreement(batch.labels, batch.logits, progress=progress)
            self.watch.values(gamma_p=gamma_p)
        v = self.mentor(losses, progress=self.progress(), gamma_p=gamma_p)
        self.watch.values(gamma=self.mentor.gamma)
        self.watch.log_weights(batch, v)
        return v

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mentor": self.mentor_kind}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> NoisyLabelModel:
        # The checkpoint may be gone; the saved model has its weights.
        there = mentors.if_there(config["mentornet_checkpoint"])
        return super().from_config({**config, "mentornet_checkpoint": there})

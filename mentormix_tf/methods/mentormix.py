"""MentorMix, the paper's method: weight, sample, mix up, weight again."""

import dataclasses
import math
from typing import Any

import keras
import tensorflow as tf

from mentormix_tf import mentors, mixing, randomness
from mentormix_tf.config.choices import GammaP, Interpolation, MentorKind
from mentormix_tf.errors import InputError
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.methods.batch import Batch
from mentormix_tf.methods.watch import WEIGHT_METRICS

__all__ = ["MentorMix"]


@keras.saving.register_keras_serializable("mentormix_tf")
class MentorMix(NoisyLabelModel):
    """MentorMix (Jiang et al., "Beyond Synthetic Noise", ICML 2020, Algorithm 1).

    A first pass over the batch computes each example's loss, from which a mentor computes its
    weight. Each example is mixed with a partner that is drawn by these weights; a trusted example
    keeps the larger share. The network is trained on the mixed batch, whose losses may be weighted
    once more.

        model = MentorMix(network, num_classes=10, gamma_p=0.6, alpha=8.0)
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), metrics=["accuracy"])
        model.fit(images, noisy_labels, epochs=30, validation_data=(test_images, test_labels))

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        gamma_p: percentile of the losses that γ follows, in [0, 1]: about the share of labels
            that are right; or auto, the share that the network agrees with, at first at least 0.5.
        alpha: λ ~ Beta(alpha, alpha); a large alpha mixes half and half, 0 or less disables mixing.
        burn_in: fraction of training, in [0, 1], in which every label is trusted.
        loss_ema_decay: decay of γ, a moving average of the percentile, in [0, 1).
        percentile_interpolation: the percentile between two losses, as in numpy.percentile.
        second_reweight: whether the mixed examples are weighted again; for high noise levels.
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
        gamma_p: GammaP = 0.6,
        alpha: float = 8.0,
        burn_in: float = 0.09,
        loss_ema_decay: float = 0.5,
        percentile_interpolation: Interpolation = "nearest",
        second_reweight: bool = False,
        mentor: MentorKind = "threshold",
        mentornet_checkpoint: str = "",
        **kwargs: Any,
    ):
        super().__init__(network, num_classes, **kwargs)
        if not math.isfinite(alpha):
            raise InputError(f"alpha={alpha} must be a finite number.")
        if gamma_p == "auto" and alpha <= 0:
            raise InputError(
                f"alpha={alpha} leaves out the first pass, from which gamma_p=auto is found: give "
                "gamma_p as a number."
            )
        self.gamma_p = gamma_p
        self.alpha = alpha
        self.burn_in = burn_in
        self.loss_ema_decay = loss_ema_decay
        self.percentile_interpolation = percentile_interpolation
        self.second_reweight = second_reweight
        self.mentornet_checkpoint = mentornet_checkpoint
        self.mentor_kind = mentor
        settings = dict(
            gamma_p=gamma_p,
            loss_ema_decay=loss_ema_decay,
            percentile_interpolation=percentile_interpolation,
            burn_in=burn_in,
        )
        build = mentors.build
        self.mentor = build(mentor, mentornet_checkpoint, **settings, name="mentor")
        self.second_mentor = build(mentor, mentornet_checkpoint, **settings, name="second_mentor")
        self.agreement = mentors.LabelAgreement(name="agreement") if gamma_p == "auto" else None
        if self.agreement is not None:
            self.watch.add("gamma_p")
        if alpha > 0:
            self.watch.add("gamma", *WEIGHT_METRICS, "lambda", "loss_before_mixing")
        if second_reweight:
            self.watch.add("second_gamma", "second_mean_v")

    def mix(self, batch: Batch) -> Batch:
        if self.alpha <= 0:
            return batch
        logits = self.first_pass_logits(batch.images)
        losses = self.example_losses(batch, logits)
        gamma_p = None
        if self.agreement is not None:
            gamma_p = self.agreement(batch.labels, logits, progress=self.progress())
            self.watch.values(gamma_p=gamma_p)
        v = self.mentor(losses, progress=self.progress(), gamma_p=gamma_p)

        seed = self.step_seed()
        probabilities = mixing.partner_probabilities(v)
        partners = mixing.sample_partners(probabilities, randomness.fold_in(seed, 0))
        lam = mixing.sample_beta(tf.shape(v), self.alpha, randomness.fold_in(seed, 1))
        lam = mixing.lean_to_trusted(lam, v)

        self.watch.log_weights(batch, v)
        shown = {"gamma": self.mentor.gamma, "lambda": lam, "loss_before_mixing": losses}
        self.watch.values(**shown)
        mixed = batch.mixed_up(partners, lam)
        return dataclasses.replace(mixed, v=v, first_logits=logits)

    def example_weights(self, batch: Batch, losses: tf.Tensor) -> tf.Tensor:
        if not self.second_reweight:
            return tf.ones_like(losses)
        gamma_p = None if self.agreement is None else self.agreement.gamma_p(self.progress())
        v = self.second_mentor(losses, progress=self.progress(), gamma_p=gamma_p)
        self.watch.values(second_gamma=self.second_mentor.gamma, second_mean_v=v)
        return v

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mentor": self.mentor_kind}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> NoisyLabelModel:
        # The checkpoint may be gone; the saved model has its weights.
        there = mentors.if_there(config["mentornet_checkpoint"])
        return super().from_config({**config, "mentornet_checkpoint": there})

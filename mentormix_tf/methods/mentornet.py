"""MentorNet: the network learns from the examples that a mentor trusts."""

import keras

from mentormix_tf import mentors
from mentormix_tf.config.choices import Interpolation, MentorKind
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.methods.watch import TRUST


@keras.saving.register_keras_serializable("mentormix_tf")
class MentorNet(NoisyLabelModel):
    """MentorNet (Jiang et al., ICML 2018): loss = mean of v·cross-entropy over the batch.

    v is what the mentor says of each example's loss, see `mentormix_tf.mentors`. The default of
    `gamma_p` is published for 20 and 40 % noise (0.5 for 80 %). The burn-in is that of MentorMix's
    released code, so that the two compare; MentorNet's own has none, but drops examples at random
    instead, half of them in the first 17 % of training, which is not done here.

    Args:
        network: Keras network that gives logits `[batch, num_classes]`.
        num_classes: number of classes.
        gamma_p: percentile of the losses that γ follows, in [0, 1]: about the share of labels
            that are right.
        burn_in: fraction of training, in [0, 1], in which every label is trusted.
        loss_ema_decay: in [0, 1), how slowly γ follows the percentile.
        percentile_interpolation: the percentile between two losses, as in numpy.percentile.
        mentor: threshold, or mentornet_pd, a network that was taught how far to trust a loss.
        mentornet_checkpoint: weights of mentornet_pd, an .npz file or a TF1 checkpoint's path
            without .index; left out, those of this package.
        seed: see `NoisyLabelModel`.

    Raises:
        InputError: an argument out of range, or a checkpoint that can't be read.
    """

    def __init__(
        self,
        network,
        num_classes: int,
        *,
        gamma_p: float = 0.75,
        burn_in: float = 0.09,
        loss_ema_decay: float = 0.5,
        percentile_interpolation: Interpolation = "nearest",
        mentor: MentorKind = "threshold",
        mentornet_checkpoint: str = "",
        **kwargs,
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
        self.watch.add("gamma", *TRUST)

    def example_weights(self, batch, losses):
        v = self.mentor(losses, progress=self.progress())
        self.watch.values(gamma=self.mentor.gamma)
        self.watch.trust(batch, v)
        return v

    def get_config(self):
        return {**super().get_config(), "mentor": self.mentor_kind}

    @classmethod
    def from_config(cls, config):
        # The weights are in the saved model, wherever the checkpoint went.
        there = mentors.if_there(config["mentornet_checkpoint"])
        return super().from_config({**config, "mentornet_checkpoint": there})

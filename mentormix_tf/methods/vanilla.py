"""The baseline: cross-entropy with the labels as given."""

import keras

from mentormix_tf.methods.base import NoisyLabelModel

__all__ = ["Vanilla"]


@keras.saving.register_keras_serializable("mentormix_tf")
class Vanilla(NoisyLabelModel):
    """Plain training with cross-entropy, the "Vanilla" row of the paper's Table 2.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        **kwargs: see `NoisyLabelModel`.
    """

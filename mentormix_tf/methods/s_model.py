"""S-Model: a layer that learns how labels are made wrong."""

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf.errors import InputError
from mentormix_tf.methods.base import NoisyLabelModel


@keras.saving.register_keras_serializable("mentormix_tf")
class SModel(NoisyLabelModel):
    """The simple noise adaptation layer (Goldberger and Ben-Reuven, ICLR 2017).

    p(noisy label j | x) = Σ_i p(true label i | x) · T_ij with T = softmax of the rows of W. The
    loss is the cross-entropy of p(noisy label | x); predictions are p(true label | x). W is learned
    with the network, by its optimizer and at its learning rate.

    W starts near the identity: T has 1 - `expected_noise` on its diagonal, and the rest spread
    evenly. The published method can start from the confusion matrix of a trained network instead;
    that is not done here.

    Args:
        network: Keras network that gives logits `[batch, num_classes]`.
        num_classes: number of classes.
        expected_noise: share of wrong labels that T starts from, in (0, 1).
        seed: see `NoisyLabelModel`.

    Raises:
        InputError: a share out of range.
    """

    def __init__(self, network, num_classes: int, *, expected_noise: float = 0.1, **kwargs):
        super().__init__(network, num_classes, **kwargs)
        if not 0.0 < expected_noise < 1.0:
            raise InputError(f"expected_noise={expected_noise} must lie between 0 and 1.")
        self.expected_noise = expected_noise
        start = np.full([num_classes, num_classes], expected_noise / (num_classes - 1))
        np.fill_diagonal(start, 1.0 - expected_noise)
        self.transition_logits = self.add_weight(
            name="transition_logits",
            shape=start.shape,
            dtype="float32",
            initializer=keras.initializers.Constant(np.log(start)),
        )

    def transition_matrix(self):
        """T: `[num_classes, num_classes]`, float32; row i has the chances of true label i."""
        return tf.nn.softmax(tf.convert_to_tensor(self.transition_logits))

    def example_losses(self, batch, logits):
        # log p(noisy) by its largest terms would need [batch, classes, classes] of memory.
        noisy = tf.matmul(tf.nn.softmax(logits), self.transition_matrix())
        return -tf.reduce_sum(batch.labels * tf.math.log(noisy + 1e-30), axis=1)

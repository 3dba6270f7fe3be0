"""What a method shows of its steps: γ, λ, and how far it trusts right and wrong labels."""

import keras
import tensorflow as tf

from mentormix_tf.distribution import replicas
from mentormix_tf.methods.batch import Batch

TRUST = ("mean_v", "mean_v_clean", "mean_v_wrong", "v_precision", "v_recall")
NEEDS_TRUTH = TRUST[1:]


class Watch(keras.layers.Layer):
    """Means over steps of what a method watches; Keras shows them beside the loss.

    Where batches have `is_clean`, a mentor's weights v are told apart by it: `mean_v_clean` and
    `mean_v_wrong`; and where v >= 0.5 stands for "this label is right", `v_precision` is the share
    of those that are, and `v_recall` the share of right labels that are found. The truth goes into
    these numbers alone.
    """

    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.means = {}
        self.knows_truth = False
        self.built = True

    def add(self, *names):
        """Says what will be watched.

        Args:
            *names: of `values`; those of `TRUST` for `trust`.
        """
        for name in names:
            self.means[name] = keras.metrics.Mean(name=name)

    def values(self, **values):
        """Adds a step's values to their means.

        Args:
            **values: floats of any shape, by name.
        """
        for name, value in values.items():
            # A scalar, like γ, comes from each replica, yet counts once.
            weight = None if value.shape.rank else 1.0 / replicas.count()
            self.means[name].update_state(value, weight)

    def trust(self, batch: Batch, v: tf.Tensor):
        """Adds the weights that a mentor gave the examples of a batch.

        Args:
            batch: the `Batch`, whose `is_clean` says which labels are right.
            v: `[batch]`, float32, in [0, 1].
        """
        self.values(mean_v=v)
        if batch.is_clean is None:
            return
        self.knows_truth = True
        clean = tf.cast(batch.is_clean == 1, tf.float32)
        wrong = tf.cast(batch.is_clean == 0, tf.float32)
        trusted = tf.cast(v >= 0.5, tf.float32)
        self.means["mean_v_clean"].update_state(v, clean)
        self.means["mean_v_wrong"].update_state(v, wrong)
        self.means["v_precision"].update_state(clean, trusted * (clean + wrong))
        self.means["v_recall"].update_state(trusted, clean)

    def is_empty(self, name):
        """Whether a mean has nothing to be of, as v of wrong labels where no label is wrong."""
        return name in self.means and float(tf.convert_to_tensor(self.means[name].count)) == 0.0

    def unknown(self):
        """Names of the means that need to know right labels from wrong, if no batch said."""
        return () if self.knows_truth else NEEDS_TRUTH

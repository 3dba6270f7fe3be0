"""Metrics of a method's own values: γ, λ, and the weights of right and of wrong labels."""

from typing import Any

import keras
import tensorflow as tf

from mentormix_tf.distribution import replicas
from mentormix_tf.methods.batch import Batch

__all__ = ["NEEDS_TRUTH", "WEIGHT_METRICS", "Watch"]

WEIGHT_METRICS = ("mean_v", "mean_v_clean", "mean_v_wrong", "v_precision", "v_recall")
NEEDS_TRUTH = WEIGHT_METRICS[1:]


class Watch(keras.layers.Layer):
    """Means of a method's values over steps, which Keras reports beside the loss.

    If batches have `is_clean`, a mentor's weights v are also averaged by it, as `mean_v_clean` and
    `mean_v_wrong`. Taking v >= 0.5 as the prediction that a label is right, `v_precision` is the
    share of these labels that are right, and `v_recall` the share of the right labels among them.
    `is_clean` is used for nothing else.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.means: dict[str, keras.metrics.Mean] = {}
        self.knows_truth = False
        self.built = True

    def add(self, *names: str) -> None:
        """Adds means, which must exist before training.

        Args:
            *names: the names that `values` will be called with, and those in `WEIGHT_METRICS` for
                `log_weights`.
        """
        for name in names:
            self.means[name] = keras.metrics.Mean(name=name)

    def values(self, **values: tf.Tensor) -> None:
        """Updates means with the values of a step.

        Args:
            **values: float tensors of any shape, by name.
        """
        for name, value in values.items():
            # Every replica adds the same scalar, such as γ, which must count once.
            weight = None if value.shape.rank else 1.0 / replicas.count()
            self.means[name].update_state(value, weight)

    def log_weights(self, batch: Batch, v: tf.Tensor) -> None:
        """Updates the means in `WEIGHT_METRICS` with a mentor's weights for a batch.

        Args:
            batch: the batch, with `is_clean` if the data set has it.
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

    def is_empty(self, name: str) -> bool:
        """Whether a mean has no values, such as v of wrong labels if no label is wrong."""
        return name in self.means and float(tf.convert_to_tensor(self.means[name].count)) == 0.0

    def unknown(self) -> tuple[str, ...]:
        """Returns the names of the means that need `is_clean`, if no batch has had it."""
        return () if self.knows_truth else NEEDS_TRUTH

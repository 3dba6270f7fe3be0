"""The metrics that Keras updates and reports for a method."""

from typing import Any

import tensorflow as tf

from mentormix_tf.distribution.replicated_model import ReplicatedModel
from mentormix_tf.methods import labels as label_forms
from mentormix_tf.methods.watch import Watch

__all__ = ["MeasuredModel"]


class MeasuredModel(ReplicatedModel):
    """A Keras model that reports the mean loss, the metrics of `compile`, and those of its `watch`.

    Attributes:
        num_classes: number of classes.
        watch: means of the method's own values.
    """

    num_classes: int
    watch: Watch

    def update_metrics(
        self,
        losses: tf.Tensor,
        targets: tf.Tensor,
        labels: tf.Tensor,
        logits: tf.Tensor,
        weight: tf.Tensor | None = None,
    ) -> None:
        """Updates the loss and the metrics of `compile` with a batch.

        Those metrics get the most likely class of each (mixed) target, in the form of `labels`.

        Args:
            losses: `[batch]`, float32.
            targets: `[batch, num_classes]`, float32, the labels that `losses` was computed from.
            labels: the labels as Keras handed them in, class numbers or one-hot.
            logits: `[batch, num_classes]`, float32.
            weight: `[batch]`, float32, each example's weight; None for 1 each.
        """
        loss = next(metric for metric in self.metrics if metric.name == "loss")
        loss.update_state(losses, weight)
        likeliest = tf.argmax(targets, axis=-1, output_type=tf.int32)
        is_one_hot = label_forms.is_one_hot(labels)
        likeliest = tf.one_hot(likeliest, self.num_classes) if is_one_hot else likeliest
        self.compute_metrics(None, likeliest, logits, weight)

    def get_test_result(self) -> dict[str, Any]:
        results = super().get_metrics_result()
        return {name: results[name] for name in results if name not in self.watch.means}

    def get_metrics_result(self) -> dict[str, Any]:
        results = super().get_metrics_result()
        return {name: results[name] for name in results if name not in self.watch.unknown()}

    def compute_metrics(
        self, x: Any, y: Any, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None
    ) -> dict[str, Any]:
        # Keras builds its metrics from a batch's `y`, but a dict with the labels arrives as `x`.
        y = x["label"] if isinstance(x, dict) and "label" in x else y
        return super().compute_metrics(x, y, y_pred, sample_weight)

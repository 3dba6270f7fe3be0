"""Which metrics Keras updates and shows for a method."""

import tensorflow as tf

from mentormix_tf.distribution.replicated_model import ReplicatedModel
from mentormix_tf.methods import labels as label_forms


class MeasuredModel(ReplicatedModel):
    """A Keras model with the mean loss, the metrics of `compile`, and what its `watch` records.

    Subclasses have the attributes `num_classes` and `watch`, a `Watch`.
    """

    def update_metrics(self, losses, targets, labels, logits, weight=None):
        """Adds a batch to the loss and to the metrics that `compile` was given.

        Those see the likeliest class of each (mixed) target, in the form in which `labels` came.

        Args:
            losses: `[batch]`, float32.
            targets: `[batch, num_classes]`, float32, the labels that the losses are of.
            labels: the labels as Keras handed them in, class numbers or one-hot.
            logits: `[batch, num_classes]`, float32.
            weight: `[batch]`, float32, how much each example counts; None for 1 each.
        """
        loss = next(metric for metric in self.metrics if metric.name == "loss")
        loss.update_state(losses, weight)
        likeliest = tf.argmax(targets, axis=-1, output_type=tf.int32)
        is_one_hot = label_forms.is_one_hot(labels)
        likeliest = tf.one_hot(likeliest, self.num_classes) if is_one_hot else likeliest
        self.compute_metrics(None, likeliest, logits, weight)

    def get_test_result(self):
        results = super().get_metrics_result()
        return {name: results[name] for name in results if name not in self.watch.means}

    def get_metrics_result(self):
        results = super().get_metrics_result()
        return {name: results[name] for name in results if name not in self.watch.unknown()}

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        # Keras builds its metrics from a batch's `y`, which a dict holds inside `x`.
        y = x["label"] if isinstance(x, dict) else y
        return super().compute_metrics(x, y, y_pred, sample_weight)

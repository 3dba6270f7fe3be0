"""What training shows of each example, recorded for an audit of the labels.

An example with a wrong label is learned late: while the network still learns from the others, it
predicts another class than the label says.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf.distribution import replicas
from mentormix_tf.methods.batch import Batch
from mentormix_tf.methods.example_table import ExampleTable, first_occurrence
from mentormix_tf.methods.watch import Watch

__all__ = ["MEANS", "MOST_VALUES", "ExampleStatistics"]

# Means over an example's occurrences, see `ExampleStatistics.read`.
MEANS = ("margin", "log_probability", "v", "agreement")
MOST_VALUES = 2**24  # examples times classes, up to which the probabilities of all classes are kept
_STATE = ("agreed", "forgotten", "rival", "votes")


class ExampleStatistics:
    """Statistics of each training example, over the first half of training and over the rest.

    They come from the logits that training computes anyway, before the step changes the weights: of
    the example as given where the method has a first pass over the batch (MentorMix, dynamic
    bootstrap), else of the images that it trains on. Where these are mixed (mixup), an example
    counts if its own share λ is at least one half.

    An example that occurs twice in a batch counts once.

    Args:
        model: the model that owns the variables, and saves and restores them.
        num_examples: number of training examples.
        num_classes: number of classes.
        watch: the method's own metrics, by which it is known whether it has a mentor.
    """

    def __init__(self, model: keras.Model, num_examples: int, num_classes: int, watch: Watch):
        self.num_classes = num_classes
        self._watch = watch
        self.has_probabilities = num_examples * num_classes <= MOST_VALUES
        self._summed = 1 + len(MEANS) + (num_classes if self.has_probabilities else 0)
        width = 2 * self._summed + len(_STATE)
        self._table = ExampleTable(model, "example_statistics", num_examples, (width,))

    def reset(self) -> None:
        """Forgets everything, which takes time proportional to the number of examples."""
        self._table.reset()

    def record(
        self,
        given: Batch,
        trained: Batch,
        weights: tf.Tensor,
        is_early: tf.Tensor,
    ) -> None:
        """Records a step; called on each replica.

        Args:
            given: the batch before the method's `mix`, with `index`.
            trained: the batch that `mix` returned, with the `logits` of the network.
            weights: `[batch]`, float32, from the method's `example_weights`.
            is_early: scalar, bool, whether this is the first half of training.
        """
        counted = tf.ones_like(weights)
        logits: Any = trained.logits  # not None, as the step is over
        if trained.first_logits is not None:
            logits = trained.first_logits
        elif trained.lam is not None:
            counted = tf.cast(trained.lam >= 0.5, tf.float32)
        v = weights if trained.v is None else trained.v
        labels = tf.cast(tf.argmax(given.labels, axis=1), tf.float32)
        seen = tf.concat([tf.stack([labels, counted, v], axis=1), logits], axis=1)
        seen = replicas.gather(seen)
        index = replicas.gather(given.index)  # pyright: ignore[reportArgumentType]
        labels, counted, v = tf.cast(seen[:, 0], tf.int32), seen[:, 1], seen[:, 2]
        rows = self._table.look_up(index)
        rows = self._updated(rows, labels, seen[:, 3:], counted[:, None], v, is_early)
        self._table.assign(index, tf.gather(rows, first_occurrence(index)))

    def _updated(self, rows, labels, logits, counted, v, is_early):
        """The rows of a batch's examples after a step, `[batch, width]`."""
        sums, state = rows[:, : -len(_STATE)], rows[:, -len(_STATE) :]
        is_label = tf.one_hot(labels, self.num_classes, on_value=True, off_value=False)
        own = tf.gather(logits, labels, batch_dims=1)
        others = tf.where(is_label, -np.inf, logits)
        margin = own - tf.reduce_max(others, axis=1)
        rival = tf.cast(tf.argmax(others, axis=1), tf.float32)
        agreed = tf.cast(margin > 0.0, tf.float32)
        log_probabilities = tf.nn.log_softmax(logits)
        log_probability = tf.gather(log_probabilities, labels, batch_dims=1)
        seen = tf.stack([tf.ones_like(v), margin, log_probability, v, agreed], axis=1)
        if self.has_probabilities:
            seen = tf.concat([seen, tf.exp(log_probabilities)], axis=1)
        early = tf.cast(is_early, tf.float32)
        added = counted * tf.concat([early * seen, (1.0 - early) * seen], axis=1)

        had_agreed, forgotten, candidate, votes = tf.unstack(state, axis=1)
        forgotten += had_agreed * (1.0 - agreed)
        # Boyer and Moore's majority vote: the class that is most often the likeliest other one.
        votes = tf.where(candidate == rival, votes + 1.0, votes - 1.0)
        candidate = tf.where(votes < 0.0, rival, candidate)
        now = tf.stack([agreed, forgotten, candidate, tf.abs(votes)], axis=1)
        return tf.concat([sums + added, tf.where(counted > 0.0, now, state)], axis=1)

    def read(self) -> Mapping[str, np.ndarray]:
        """Reads the statistics of all examples; called outside the replicas.

        Returns:
            Arrays by name, whose second axis is the half of training:

            - `count`, `[examples, 2]`, float32: how often the example was seen;
            - the means over its occurrences, `[examples, 2]`, float32, NaN if there are none:
              `margin`, the label's logit less the largest other one (the area under the margin of
              Pleiss et al., NeurIPS 2020); `log_probability` of the label, in nats; `v`, the
              mentor's weight, if there is a mentor; `agreement`, how often the label was predicted;
            - `forgetting_events`, `[examples]`, int64: how often the label was predicted the time
              before but no longer (Toneva et al., ICLR 2019);
            - `rival`, `[examples]`, int64: the class that was most often the likeliest besides the
              label, by a majority vote that finds it if it was in more than half of the cases;
            - `probabilities`, `[examples, 2, classes]`, float32: mean probability of each class, if
              examples times classes are at most 2**24.
        """
        table: Any = keras.ops.convert_to_numpy(self._table.variable)
        halves = table[:, : -len(_STATE)].reshape(len(table), 2, self._summed)
        state = dict(zip(_STATE, table[:, -len(_STATE) :].T, strict=True))
        count = halves[:, :, 0]
        with np.errstate(invalid="ignore"):
            means = halves[:, :, 1:] / np.where(count > 0.0, count, np.nan)[:, :, None]
        found = {"count": count, **{name: means[:, :, i] for i, name in enumerate(MEANS)}}
        if "gamma" not in self._watch.means:  # Co-teaching has weights, too, but of its own kind
            del found["v"]
        found["forgetting_events"] = state["forgotten"].astype(np.int64)
        found["rival"] = state["rival"].astype(np.int64)
        if self.has_probabilities:
            found["probabilities"] = means[:, :, len(MEANS) :]
        return found

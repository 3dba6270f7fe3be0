"""Evaluates a network on clean test labels, noisy validation labels and training examples."""

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from mentormix_tf.data import pipeline
from mentormix_tf.data.splits import NoisySplits
from mentormix_tf.distribution import replicas
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.metrics.predictions import Predictions

__all__ = [
    "BATCH_SIZE",
    "COLUMNS",
    "INTEGERS",
    "MANY_CLASSES",
    "MEMORIZATION_EXAMPLES",
    "TOP",
    "Evaluation",
]

BATCH_SIZE = 500
MEMORIZATION_EXAMPLES = 5000
INTEGERS = ("label", "true_label", "is_clean", "predicted", "rank")
COLUMNS = (*INTEGERS, "confidence", "loss")
TOP = 5
_DELAY = 2  # seconds
MANY_CLASSES = 20  # with more classes, top-5 accuracy is measured, too


class Evaluation:
    """Evaluates a model with its current weights, on the splits of a run.

    Args:
        model: the model.
        data: the run's data.
        batch_size: examples in a training batch.
        **shown: `augmentation` and `image_shape` for `pipeline.eval_batches`.
    """

    def __init__(self, model: NoisyLabelModel, data: NoisySplits, batch_size: int, **shown: Any):
        self.model = model
        self._has_images = data.features is None
        self._knows_truth = data.manifest["realized_noise_rate"] is not None
        self._data, self._shown, self._batch_size = data, shown, batch_size
        strategy = model.distribute_strategy
        count = strategy.num_replicas_in_sync
        self._size = count * -(-BATCH_SIZE // count)  # a multiple: replicas get equal parts
        self._test = self._batches("test", self._size)
        self._validation = self._batches("validation", self._size) if "validation" in data else None
        self._predict = tf.function(
            lambda batch: strategy.run(self._predict_on_replica, args=(batch,)), autograph=False
        )
        self._mixed = tf.function(
            lambda batch: strategy.run(model.mixed, args=(batch,)), autograph=False
        )

    def _batches(self, split, size):
        """The batches of a split, and how many there are."""
        made = self.model.distribute_strategy.distribute_datasets_from_function(
            lambda context: pipeline.eval_batches(
                self._data, split, size, context=context, **self._shown
            )
        )
        return made, pipeline.num_eval_batches(self._data, split, size)

    # Made when they are first used, so that the first step need not wait for them.

    @functools.cached_property
    def _sample(self):
        size = min(MEMORIZATION_EXAMPLES, self._data.num_examples("train"))
        return self._batches(f"train[:{size}]", self._size)

    @functools.cached_property
    def _to_mix(self):
        return self._batches(f"train[:{self._batch_size}]", self._batch_size)

    def row(self) -> tuple[dict[str, float | None], Predictions]:
        """Evaluates the model on all splits of the run.

        Returns:
            `(row, sample)`. The row has test_loss and test_accuracy, and test_top5_accuracy if
            there are more than 20 classes; the same for averaged_test, if the model keeps a weight
            average, and for validation, whose labels are noisy, if the data has that split. Losses
            are in nats, accuracies in [0, 1].

            The sample is the predictions for the first training examples, at most 5,000. If the
            true labels are known, the row also has, over the sample: train_clean_accuracy, the
            accuracy on examples whose label is right; train_wrong_accuracy, the fraction of wrong
            labels that the network predicts, so has memorized; and train_wrong_true_accuracy, the
            fraction of wrongly labeled examples whose true class it predicts.
        """
        row = self._on(self.test(), "test")
        if self.model.ema_decay:
            with self.model.averaged():
                row |= self._on(self.test(), "averaged_test")
        if self._validation is not None:
            row |= self._on(self.predict(*self._validation), "validation")
        sample = self.predict(*self._sample)
        if self._knows_truth:
            wrong = sample.is_clean == 0
            row["train_clean_accuracy"] = sample.accuracy(sample.is_clean == 1)
            row["train_wrong_accuracy"] = sample.accuracy(wrong)
            known = wrong & (sample.true_label >= 0)
            row["train_wrong_true_accuracy"] = sample.accuracy(known, of="true_label")
        return row, sample

    def num_batches(self) -> int:
        """How many batches `row` evaluates."""
        parts = [self._test, self._sample, self._test if self.model.ema_decay else None]
        return sum(part[1] for part in [*parts, self._validation] if part)

    def first_batch(self) -> Predictions:
        """Predicts the first batch of the test split."""
        return self.predict(self._test[0], 1)

    def test(self) -> Predictions:
        """Predicts the test split."""
        return self.predict(*self._test)

    def mixed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Mixes a training batch as the method would at this step.

        It is always the same batch, without augmentation.

        Returns:
            Arrays `(images, labels, lam)`, see `NoisyLabelModel.mixed`; None if the method does not
            mix, or mixes features.
        """
        if type(self.model).mix is NoisyLabelModel.mix or not self._has_images:
            return None
        strategy = self.model.distribute_strategy
        images, labels, lam = (
            strategy.experimental_local_results(part)[0].numpy()
            for part in self._mixed(next(iter(self._to_mix[0])))
        )
        return images, labels, lam

    def predict(self, batches: Iterable, count: int) -> Predictions:
        """Predicts batches of examples.

        Args:
            batches: from `pipeline.eval_batches`, distributed; without ids, as a TPU takes no text.
            count: how many batches to take.
        """
        parts, iterator = [], iter(batches)
        strategy = self.model.distribute_strategy
        # A bar within the bar of the steps; it shows up only where evaluation takes a while.
        for _ in tqdm(range(count), "Evaluating", leave=False, delay=_DELAY, disable=None):
            table = self._predict(next(iterator))
            # Every replica has gathered the rows of all replicas.
            parts.append(strategy.experimental_local_results(table)[0].numpy())
        columns = dict(zip((*COLUMNS, "weight"), np.concatenate(parts).T, strict=True))
        is_there = columns.pop("weight") == 1.0
        columns = {name: column[is_there] for name, column in columns.items()}
        return Predictions(**columns | {name: columns[name].astype(np.int64) for name in INTEGERS})

    def _predict_on_replica(self, batch):
        logits = tf.cast(self.model(batch["image"], training=False), tf.float32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label"], logits)
        own = tf.gather(logits, batch["label"], batch_dims=1)[:, None]
        # Not "own < logits": NaN logits must not count as right.
        higher = ~(logits <= own)
        earlier = tf.range(logits.shape[1], dtype=tf.int64) < batch["label"][:, None]
        rank = tf.math.count_nonzero(higher | (earlier & (logits == own)), axis=1)
        columns = {
            **batch,
            "predicted": tf.argmax(logits, axis=1),
            "confidence": tf.reduce_max(tf.nn.softmax(logits), axis=1),
            "rank": rank,
            "loss": losses,
        }
        # float32 holds all integers up to 2**24.
        table = [tf.cast(columns[name], tf.float32) for name in (*COLUMNS, "weight")]
        return replicas.gather(tf.stack(table, axis=1))

    def _on(self, predictions, name):
        row = {f"{name}_loss": predictions.mean_loss(), f"{name}_accuracy": predictions.accuracy()}
        if self.model.num_classes > MANY_CLASSES:
            row[f"{name}_top5_accuracy"] = predictions.top_k(TOP)
        return row

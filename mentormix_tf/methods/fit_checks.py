"""What `fit` looks at before and while it trains, for what would go wrong without a word."""

import math
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf.distribution import keras_internals
from mentormix_tf.errors import InputError
from mentormix_tf.methods import labels as label_forms

__all__ = ["FitChecks", "check_arguments", "known_columns"]

_COLUMNS = ("image", "label", "index", "weight", "example_weight", "is_clean", "sample_weight")


def check_arguments(method: str, num_classes: int, y: Any, others: dict[str, Any]) -> None:
    """Checks the arguments of `fit`.

    Args:
        method: name of the method, for errors.
        num_classes: number of classes.
        y: the labels, if `fit` was given arrays.
        others: the other arguments of `fit`, by name.

    Raises:
        InputError: labels are not classes, or examples are to be weighted.
    """
    for labels in (y, *label_forms.of(others.get("validation_data"))):
        if labels is not None:
            label_forms.check(labels, num_classes)
    if others.get("class_weight") is not None or others.get("sample_weight") is not None:
        raise InputError(
            f"Sample and class weights can't be used: {method} weights the examples itself."
        )


def known_columns(x: Any) -> Any:
    """Leaves out the columns of dict batches that no step reads, such as texts.

    XLA, for one, can't take texts.

    Args:
        x: the data for `fit` or `evaluate`; only a `tf.data.Dataset` of dicts, or of pairs that
            begin with a dict, is changed.
    """
    if not isinstance(x, tf.data.Dataset):
        return x
    spec = x.element_spec
    first = spec[0] if isinstance(spec, tuple) and spec else spec
    if not isinstance(first, dict) or "image" not in first or set(first) <= set(_COLUMNS):
        return x

    def kept(columns, *rest):
        columns = {name: value for name, value in columns.items() if name in _COLUMNS}
        return (columns, *rest) if rest else columns

    return x.map(kept, num_parallel_calls=tf.data.AUTOTUNE)


class FitChecks(keras.callbacks.Callback):
    """Refuses to train nothing; warns of a network that returns probabilities, and of NaN."""

    model: Any  # a `NoisyLabelModel`, whose module imports this one

    def __init__(self):
        super().__init__()
        self._has_looked = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        network = self.model.network
        if not network.trainable_weights and not keras_internals.has_unbuilt_layers(network):
            raise InputError("The network has no trainable weights: unfreeze some of its layers.")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._has_looked:
            return
        self._has_looked = True
        if _returns_probabilities(self.model):
            warnings.warn(
                "The network returns probabilities, it seems: remove its softmax, since the loss "
                "takes logits.",
                stacklevel=2,
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if math.isnan(float((logs or {}).get("loss", 0.0))):
            warnings.warn(
                f"The loss is NaN in epoch {epoch + 1}: training has diverged, or a label is not "
                f"one of the {self.model.num_classes} classes.",
                stacklevel=2,
            )


def _returns_probabilities(model: Any) -> bool:
    """Whether the rows for two images of noise sum to 1, which those of logits hardly do."""
    shape = model.image_shape
    on_tpu = isinstance(model.distribute_strategy, tf.distribute.TPUStrategy)
    if shape is None or None in shape or on_tpu:
        return False
    noise = np.random.RandomState(0).uniform(0, 255, (2, *shape)).astype(np.float32)
    rows = np.asarray(tf.cast(model.network(noise, training=False), tf.float32))
    return bool(np.all(rows >= 0) and np.allclose(rows.sum(axis=-1), 1.0, atol=1e-3))

"""One pass of a trained network over a training set: its predictions and, on request, features."""

import dataclasses
from collections.abc import Iterable, Sequence

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from mentormix_tf.errors import InputError
from mentormix_tf.inference import features as feature_models
from mentormix_tf.inference.features import FeatureLayer

__all__ = ["Survey", "survey"]

_MOST_PROBABILITIES = 2**27  # examples times classes: about 3 GB with what is made of them


@dataclasses.dataclass(frozen=True)
class Survey:
    """What a network says of each example.

    Attributes:
        probabilities: `[n, num_classes]`, float32.
        features: `[n, size]`, float32, of each layer that was asked for.
    """

    probabilities: np.ndarray
    features: Sequence[np.ndarray] = ()


def survey(
    network: keras.Model,
    batches: Iterable[tf.Tensor | np.ndarray],
    count: int,
    layers: Sequence[FeatureLayer] = (),
) -> Survey:
    """Classifies examples in inference mode, in the order in which they come.

    Args:
        network: Keras network from images `[batch, height, width, channels]`, as it was trained on,
            to logits or probabilities `[batch, num_classes]`.
        batches: batches of images.
        count: number of examples; what is beyond it, in the last batch, is left out.
        layers: which features to return, see `features.model`.

    Raises:
        InputError: the network has no such features, its output is NaN or infinite, or there are
            too many examples and classes.
    """
    model = feature_models.model(network, *layers) if layers else network
    classify = tf.function(
        lambda images: model(images, training=False), autograph=False, reduce_retracing=True
    )
    outputs: list[np.ndarray] = []
    features: list[list[np.ndarray]] = [[] for _ in layers]
    with tqdm(desc="Surveying", total=count, unit=" images", disable=None) as bar:
        for images in batches:
            found = classify(tf.cast(images, tf.float32))
            *values, found = found if layers else (found,)
            for part, value in zip(features, values, strict=True):
                part.append(value.numpy().astype(np.float32))
            outputs.append(tf.cast(found, tf.float32).numpy())
            _check_size(count, outputs[0].shape[-1])
            bar.update(min(len(outputs[-1]), count - bar.n))
    output = np.concatenate(outputs)[:count]
    if not np.isfinite(output).all():
        raise InputError(
            f"The network {network.name} gives values that are NaN or infinite: audit a network "
            "that was trained with a finite loss, on images as it was trained on."
        )
    return Survey(_probabilities(output), [np.concatenate(part)[:count] for part in features])


def _check_size(count, num_classes):
    if count * num_classes > _MOST_PROBABILITIES:
        raise InputError(
            f"A survey of {count:,} examples of {num_classes:,} classes does not fit in memory: "
            "train with --audit, and audit with --features=none."
        )


def _probabilities(output):
    """Probabilities from logits, or from the output of a network that ends in a softmax."""
    is_done = (output >= 0.0).all() and np.allclose(output.sum(axis=1), 1.0, atol=1e-3)
    return output if is_done else tf.nn.softmax(output).numpy()

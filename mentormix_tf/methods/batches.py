"""Batches in the forms that they may have: `(images, labels)`, or dicts."""

import keras
import tensorflow as tf

from mentormix_tf.errors import InputError


def images_and_labels(batch, method):
    """The images and labels of a batch.

    Args:
        batch: `(images, labels)`, or a dict with the keys image and label.
        method: what the error names.

    Returns:
        Images `[batch, ...]`, float32, and labels as they came.

    Raises:
        InputError: a batch without them, or with weights.
    """
    if isinstance(batch, dict):
        images, labels = batch.get("image"), batch.get("label")
    else:
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        if sample_weight is not None:
            raise InputError(
                f"Sample and class weights can't be taken: {method} weighs the examples itself."
            )
    if images is None or labels is None:
        raise InputError(
            "A batch needs images and labels: (images, labels), or a dict with the keys image and "
            "label."
        )
    return tf.cast(images, tf.float32), labels


def index(batch, method):
    """The examples' positions in the training set, `[batch]`, int64.

    Args:
        batch: dict with the key index.
        method: what the error names.

    Raises:
        InputError: a batch without them.
    """
    if not isinstance(batch, dict) or "index" not in batch:
        raise InputError(
            f"{method} needs to know which example is which: train on dicts with the keys image, "
            "label and index, the example's position in the training set."
        )
    return tf.cast(batch["index"], tf.int64)

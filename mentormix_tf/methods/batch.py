"""A batch of examples, in the form that all hooks of a method take."""

import dataclasses

import keras
import tensorflow as tf

from mentormix_tf import mixing
from mentormix_tf.errors import InputError

__all__ = ["Batch", "StepData"]

# A batch as Keras hands it to a step: `(images, labels)` or a dict.
StepData = dict[str, tf.Tensor] | tuple[tf.Tensor, ...]


@dataclasses.dataclass(frozen=True)
class Batch:
    """One replica's part of a batch.

    Attributes:
        images: `[batch, ...]`, float32.
        labels: `[batch, num_classes]`, float32, probabilities; with a label_smoothing below 0,
            numbers that sum to 1.
        index: `[batch]`, int64, each example's position in the training set; None if unknown.
        weight: `[batch]`, float32, each example's weight in an evaluation; None for 1 each.
        example_weight: `[batch]`, float32, at least 0, what the user multiplies each example's loss
            in training by, besides the method's own weights; None for 1 each.
        is_clean: `[batch]`, 1 for a right label, 0 for a wrong one, -1 for unknown; None if the
            data set does not have it. Only `Watch` reads it: no loss or weight may depend on it.
        lam: `[batch]`, float32, the λ that images and labels are mixed with; None if unmixed.
        v: `[batch]`, float32, the mentor's weights of the batch as given; None if `mix` has none.
        first_logits: `[batch, num_classes]`, float32, from a first pass over the batch as given;
            None if the method has none.
        logits: `[batch, num_classes]`, float32, from the pass that the network learns from; None
            before it.
    """

    images: tf.Tensor
    labels: tf.Tensor
    index: tf.Tensor | None = None
    weight: tf.Tensor | None = None
    example_weight: tf.Tensor | None = None
    is_clean: tf.Tensor | None = None
    lam: tf.Tensor | None = None
    v: tf.Tensor | None = None
    first_logits: tf.Tensor | None = None
    logits: tf.Tensor | None = None

    @classmethod
    def read(
        cls, data: StepData, method: str, needs_index: bool = False, for_training: bool = False
    ) -> "Batch":
        """Converts a batch from the form in which Keras hands it to a step.

        Args:
            data: `(images, labels)`, or a dict with the keys image and label, and optionally
                index, weight, example_weight and is_clean; or such a dict without label, and the
                labels.
            method: name of the method, for errors.
            needs_index: whether `data` must have an index.
            for_training: whether the batch is trained on, so that it can't have weights.

        Returns:
            A `Batch` with float32 images and the labels as given, class numbers or one-hot.

        Raises:
            InputError: images, labels or a required index are missing, or there are sample weights.
        """
        if isinstance(data, dict):
            columns = data
        else:
            images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
            if sample_weight is not None:
                raise InputError(
                    f"Sample and class weights can't be used: {method} weights the examples itself."
                )
            columns = images if isinstance(images, dict) else {"image": images}
            columns = {**columns, "label": columns.get("label") if labels is None else labels}
        if columns.get("image") is None or columns.get("label") is None:
            raise InputError(
                "A batch needs images and labels: (images, labels), or a dict with the keys image "
                "and label."
            )
        if "sample_weight" in columns or (for_training and columns.get("weight") is not None):
            raise InputError(
                f"A batch has the weights of examples: remove them for training, as {method} "
                "weights the examples itself, and call them weight for evaluation."
            )
        index, is_clean = columns.get("index"), columns.get("is_clean")
        factor = columns.get("example_weight")
        if needs_index and index is None:
            raise InputError(
                f"{method} needs each example's position in the training set: train on dicts with "
                "the keys image, label and index."
            )
        return cls(
            images=tf.cast(columns["image"], tf.float32),
            labels=columns["label"],
            index=None if index is None else tf.cast(index, tf.int64),
            weight=columns.get("weight"),
            example_weight=None if factor is None else tf.cast(factor, tf.float32),
            is_clean=None if is_clean is None else tf.cast(is_clean, tf.int64),
        )

    def mixed_up(self, partners: tf.Tensor, lam: tf.Tensor) -> "Batch":
        """Mixes each example with a partner from the batch, see `mixing.mixup`.

        Args:
            partners: `[batch]`, int32, position of each example's partner in the batch.
            lam: `[batch]`, float32, in [0, 1], each example's own share of its mix.

        Returns:
            A `Batch` with mixed images and labels, and with `lam`.
        """
        return dataclasses.replace(
            self,
            images=mixing.mixup(self.images, partners, lam),
            labels=mixing.mixup(self.labels, partners, lam),
            lam=lam,
        )

"""A table of values for each training example, updated in place.

A step reads and writes only the rows of its batch, so its cost does not depend on the number of
examples.
"""

import keras
import numpy as np
import tensorflow as tf

__all__ = ["ExampleTable", "first_occurrence", "sum_by_example"]


class ExampleTable:
    """A float32 row for each training example, with a copy of the whole table on every replica.

    Replicas keep their copies equal by making the same updates: `assign` and `add` take the index
    and rows of the *global* batch, see `replicas.gather`.

    Args:
        model: the model that owns the variable, and saves and restores it.
        name: name of the variable.
        num_examples: number of training examples.
        row_shape: shape of a row; () for one number per example.

    Attributes:
        variable: the Keras variable, `[num_examples, *row_shape]`, initially 0.
    """

    def __init__(
        self,
        model: keras.Model,
        name: str,
        num_examples: int,
        row_shape: tuple[int, ...] = (),
    ):
        self.variable = model.add_weight(
            name=name,
            shape=(num_examples, *row_shape),
            dtype="float32",
            initializer="zeros",
            trainable=False,
            # TPUs scatter only into variables without aggregation.
            aggregation="none",
        )

    def look_up(self, index: tf.Tensor) -> tf.Tensor:
        """Returns the rows of some examples.

        Args:
            index: `[batch]`, int64, positions in the training set.

        Returns:
            `[batch, *row_shape]`, float32; NaN for an index out of range.
        """
        in_range = self._in_range(index)
        rows = tf.gather(self.variable.value, tf.where(in_range, index, 0))
        return tf.where(_like_rows(in_range, rows), rows, np.nan)

    def assign(self, index: tf.Tensor, rows: tf.Tensor) -> None:
        """Replaces the rows of some examples.

        Args:
            index: `[global batch]`, int64, positions in the training set; rows whose index is out
                of range are ignored.
            rows: `[global batch, *row_shape]`, float32; equal where an example occurs twice.
        """
        # Every index must be valid: an index out of range repeats the first valid write or, if
        # there is none, writes the present value of row 0.
        in_range = self._in_range(index)
        first = tf.argmax(tf.cast(in_range, tf.int32), output_type=tf.int32)
        source = tf.where(in_range, tf.range(tf.size(index)), first)
        any_in_range = tf.reduce_any(in_range)
        index = tf.where(any_in_range, tf.gather(index, source), 0)
        rows = tf.where(any_in_range, tf.gather(rows, source), self.look_up(index))
        self.variable.value.scatter_update(tf.IndexedSlices(rows, index))

    def add(self, index: tf.Tensor, rows: tf.Tensor) -> None:
        """Adds to the rows of some examples.

        Args:
            index: `[global batch]`, int64, positions in the training set; rows whose index is out
                of range are ignored.
            rows: `[global batch, *row_shape]`, float32; all are added where an example occurs
                twice.
        """
        # Not scatter_add, which adds the rows of one example in any order: the last bits of sums
        # would differ from run to run.
        self.assign(index, self.look_up(index) + sum_by_example(index, rows))

    def reset(self) -> None:
        """Sets all rows to 0, which takes time proportional to the number of examples."""
        self.variable.assign(tf.zeros(self.variable.shape))

    def _in_range(self, index):
        return (index >= 0) & (index < self.variable.shape[0])


def sum_by_example(index: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Sums the rows of a batch that belong to the same example.

    Args:
        index: `[batch]`, int64, positions in the training set.
        rows: `[batch, ...]`, float32.

    Returns:
        Each row replaced by the sum of all rows with its index; shape and dtype of `rows`.
    """
    group = tf.searchsorted(tf.sort(index), index)
    return tf.gather(tf.math.unsorted_segment_sum(rows, group, tf.size(index)), group)


def first_occurrence(index: tf.Tensor) -> tf.Tensor:
    """Finds where each example of a batch occurs first.

    Args:
        index: `[batch]`, int64, positions in the training set.

    Returns:
        `[batch]`, int32: for each row, the first row with the same index.
    """
    return tf.argmax(index[:, None] == index, axis=1, output_type=tf.int32)


def _like_rows(mask, rows):
    """Reshapes a mask `[batch]` to broadcast over `[batch, *row_shape]`."""
    return tf.reshape(mask, [-1, *[1] * (rows.shape.rank - 1)])

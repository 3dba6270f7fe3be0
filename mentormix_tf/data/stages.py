"""The stages of training, in each of which more examples take part than before.

An examples file can say from which share of all steps on an example takes part (`start`). Each of
these shares begins a stage, which shuffles its own examples in epochs. Without them, training is
one stage.
"""

import bisect
import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from mentormix_tf.errors import InputError

if TYPE_CHECKING:
    from mentormix_tf.data.prepared import NoisySplits

__all__ = ["NEVER", "Stages", "of", "steps_per_epoch"]

NEVER = np.iinfo(np.int64).max


@dataclasses.dataclass(frozen=True)
class Stages:
    """The stages of a training, and their epochs, which are counted from its first step on.

    The last epoch of a stage ends where the next stage begins, and the last stage never ends.

    Attributes:
        begins: `[n]`, int64, the first step of each training example, `NEVER` if it is left out;
            None if all take part from the first step on.
        steps: `[stages]`, int64, the first step of each stage; the first is 0.
        epochs: `[stages]`, int64, the first epoch of each.
        epoch_steps: `[stages]`, int64, the number of steps of a whole epoch of each.
    """

    begins: np.ndarray | None
    steps: np.ndarray
    epochs: np.ndarray
    epoch_steps: np.ndarray

    def located(self, step: int) -> tuple[int, int]:
        """The epoch that a step is in, and the number of steps before it in that epoch."""
        stage = int(np.searchsorted(self.steps, step, side="right")) - 1
        epoch, within = divmod(step - int(self.steps[stage]), int(self.epoch_steps[stage]))
        return int(self.epochs[stage]) + epoch, within

    def first_step(self, epoch: tf.Tensor) -> tf.Tensor:
        """The first step of an epoch: scalars, int64."""
        stage = self._stage(epoch)
        before = (epoch - tf.gather(self.epochs, stage)) * tf.gather(self.epoch_steps, stage)
        return tf.gather(self.steps, stage) + before

    def num_steps(self, epoch: tf.Tensor) -> tf.Tensor:
        """The number of steps of an epoch: scalars, int64."""
        stage = self._stage(epoch)
        end = tf.gather(np.append(self.steps[1:], NEVER), stage)
        return tf.minimum(tf.gather(self.epoch_steps, stage), end - self.first_step(epoch))

    def _stage(self, epoch):
        return tf.reduce_sum(tf.cast(self.epochs <= epoch, tf.int32)) - 1


def of(data: "NoisySplits", batch_size: int, train_steps: int | None) -> Stages:
    """The stages of a training on a split.

    An example with `start` takes part from the first step on for which step / train_steps is at
    least that.

    Args:
        data: the prepared split.
        batch_size: examples in a batch.
        train_steps: number of steps of the training; None only if all examples take part from the
            first step on.

    Raises:
        InputError: there are fewer examples than batch_size, at first or at all, or train_steps is
            missing.
    """
    steps_per_epoch(data, batch_size)
    begins = _begins(data, train_steps)
    if begins is None:
        steps, counts = np.zeros(1, np.int64), np.array([data.num_examples("train")])
    else:
        steps, counts = np.unique(begins[begins < NEVER], return_counts=True)
    sizes = np.cumsum(counts)
    if sizes[0] < batch_size:
        raise InputError(
            f"{data.examples_name} has {sizes[0]} examples with start=0, fewer than batch_size="
            f"{batch_size}: begin with more of them, or choose a smaller batch_size."
        )
    epoch_steps = sizes // batch_size
    epochs = np.cumsum([0, *-(-np.diff(steps) // epoch_steps[:-1])])
    return Stages(begins, steps, epochs, epoch_steps)


def steps_per_epoch(data: "NoisySplits", batch_size: int) -> int:
    """Returns the number of complete batches in an epoch of all examples that take part.

    Raises:
        InputError: there are fewer examples than batch_size.
    """
    size = data.num_examples("train") if data.kept is None else int(data.kept.sum())
    if batch_size > size:
        raise InputError(
            f"batch_size={batch_size} is larger than the training data, which has {size} examples."
        )
    return size // batch_size


def _begins(data, train_steps):
    """The first step of each training example; None if all take part from the first step on."""
    begins = None
    if data.starts is not None:
        if train_steps is None:
            raise InputError(
                f"{data.examples_name} has a column start, the share of all steps from which on an "
                "example takes part: pass train_steps."
            )
        # By the quotient itself, as rounding may put start * train_steps on either side of a step.
        starts, which = np.unique(data.starts, return_inverse=True)
        steps = range(train_steps)
        first = [bisect.bisect_left(steps, s, key=lambda i: i / train_steps) for s in starts]
        begins = np.array(first, np.int64)[which]
    if data.kept is not None:
        begins = np.where(data.kept, 0 if begins is None else begins, NEVER)
    return begins

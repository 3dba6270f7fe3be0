"""Batches for training and evaluation, as `tf.data` data sets of dicts.

A batch has image `[batch, height, width, channels]`, float32 in [0, 255], and label, true_label and
is_clean, `[batch]`, int64. More columns can be requested with `columns=(*COLUMNS, ...)`: index,
`[batch]`, int64, the example's position in its split; verified, `[batch]`, int64, 1 where a person
has checked or set the label and it is right, 0 where it is wrong, otherwise -1; annotators and
disagreeing, `[batch]`, int64, how many people labeled the example and how many of them otherwise,
-1 if one did; example_weight, `[batch]`, float32, the factor of the example's loss in training; and
id, `[batch]`, string, which XLA and TPUs don't support.

Each of several hosts makes its part of every global batch. A split in memory is held by every host
as a whole, so global batches have the same examples on any number of hosts. Of a streamed split
each host reads its own part, so an epoch still has each example at most once.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from mentormix_tf import randomness
from mentormix_tf.data import augment, stages
from mentormix_tf.data.examples import ALONE, AUTOTUNE, COLUMNS, MEMORY, Examples
from mentormix_tf.data.service import NO_SERVERS, Servers

if TYPE_CHECKING:
    from mentormix_tf.data.prepared import NoisySplits

__all__ = [
    "batch_spec",
    "eval_batches",
    "num_eval_batches",
    "train_batches",
]


@tf.autograph.experimental.do_not_convert  # which takes seconds, and nothing here needs it
def train_batches(
    data: "NoisySplits",
    batch_size: int,
    seed: int,
    augmentation: augment.Augmentation,
    image_shape: Sequence[int],
    start_step: int = 0,
    memory: int = MEMORY,
    columns: Sequence[str] = COLUMNS,
    context: tf.distribute.InputContext = ALONE,
    train_steps: int | None = None,
    servers: Servers = NO_SERVERS,
) -> tf.data.Dataset:
    """Makes endless training batches, reshuffled each epoch.

    The batch of a step is a function of (seed, step) alone, and of train_steps if examples begin
    later: a stream that starts at step k is the tail of the one that starts at 0.

    Args:
        data: the prepared split.
        batch_size: examples in a global batch; the incomplete last batch of an epoch is left out.
        seed: seed of the order and of the augmentation.
        augmentation: how images are decoded and distorted.
        image_shape: `(height, width, channels)` of the images in a batch.
        start_step: step of the first batch.
        memory: most bytes of images to hold in memory.
        columns: names of the columns of a batch.
        context: which host this is, and how many hosts and replicas there are.
        train_steps: number of steps of the training, if examples begin later, see `stages.of`.
        servers: what makes the batches, which are the same as those made here.

    Returns:
        Batches as dicts from column to tensor, one for each replica of this host in turn.

    Raises:
        InputError: there are fewer examples than batch_size, at first or at all, train_steps is
            missing, or a file is damaged.
    """
    plan = stages.of(data, batch_size, train_steps)
    stream_seed = tf.constant([seed, 0])
    first_epoch, first_step = plan.located(start_step)

    is_served = bool(servers.addresses)
    examples = Examples(data, "train", memory, columns, context, plan.begins, is_served)
    part = batch_size // context.num_input_pipelines
    host = context.input_pipeline_id

    def epoch_batches(epoch):
        order = examples.shuffled(randomness.fold_in(stream_seed, epoch), plan.first_step(epoch))
        rows = examples.batches(order, batch_size).take(plan.num_steps(epoch))
        return rows.skip(tf.where(epoch == first_epoch, tf.cast(first_step, tf.int64), 0))

    epochs = tf.data.Dataset.range(first_epoch, np.iinfo(np.int64).max)
    rows = epochs.flat_map(epoch_batches)

    def distorted(step_seed, batch):
        distorted = augmentation.distort(batch["image"], randomness.fold_in(step_seed, 1))
        batch = {**batch, "image": distorted}
        return {k: tf.ensure_shape(v, [part, *v.shape[1:]]) for k, v in batch.items()}

    def share(i, n):
        """The batches of each n-th step, from the i-th on."""

        def seeded(k, batch):
            step = start_step + i + n * k
            return randomness.fold_in(randomness.fold_in(stream_seed, step), 1 + host), batch

        numbered = _gathered(examples, rows.shard(n, i), is_served).enumerate()
        batches = examples.decoded(
            numbered.map(seeded, AUTOTUNE), augmentation.decode_train, image_shape, part
        )
        return batches.map(distorted, num_parallel_calls=AUTOTUNE)

    batches = servers.distributed(share) if is_served else share(0, 1)
    return _for_replicas(batches, batch_size, context).prefetch(AUTOTUNE)


def batch_spec(
    batch_size: int, image_shape: Sequence[int], columns: Sequence[str] = COLUMNS
) -> dict[str, tf.TensorSpec]:
    """Returns the shapes and dtypes of a batch, by column."""
    numbers = {name: tf.TensorSpec([batch_size], tf.int64) for name in columns}
    if "example_weight" in columns:
        numbers["example_weight"] = tf.TensorSpec([batch_size], tf.float32)
    return {**numbers, "image": tf.TensorSpec([batch_size, *image_shape], tf.float32)}


@tf.autograph.experimental.do_not_convert
def eval_batches(
    data: "NoisySplits",
    split: str,
    batch_size: int,
    augmentation: augment.Augmentation,
    image_shape: Sequence[int],
    memory: int = MEMORY,
    columns: Sequence[str] = COLUMNS,
    context: tf.distribute.InputContext = ALONE,
) -> tf.data.Dataset:
    """Makes batches of every example of a split once, in the order of its files.

    All batches have the same size: the last is padded with zeros. The additional column weight,
    `[batch]`, float32, is 1 for an example and 0 for padding.

    Args:
        data: the prepared split.
        split: name of the split.
        batch_size: examples in a global batch.
        augmentation: how images are decoded.
        image_shape: `(height, width, channels)` of the images in a batch.
        memory: most bytes of images to hold in memory.
        columns: names of the columns of a batch.
        context: which host this is, and how many hosts and replicas there are.

    Returns:
        Batches as dicts from column to tensor, one for each replica of this host in turn.

    Raises:
        InputError: a file is damaged.
    """
    examples = Examples(data, split, memory, columns, context)
    part = batch_size // context.num_input_pipelines
    decode = augment.for_evaluation(augmentation, data.image_shape).decode_eval

    def unseeded(batch):
        return tf.constant([0, 0]), batch

    def weighted(_, batch):
        return padded({**batch, "weight": tf.ones(tf.shape(batch["image"])[:1])})

    def padded(batch):
        missing = part - tf.shape(batch["weight"])[0]
        return {k: _padded(v, missing, [part, *v.shape[1:]]) for k, v in batch.items()}

    rows = examples.batches(examples.in_order(), batch_size, drop_remainder=False)
    batches = _gathered(examples, rows).map(unseeded, AUTOTUNE)
    batches = examples.decoded(batches, decode, image_shape, part)
    batches = batches.map(weighted, num_parallel_calls=AUTOTUNE)
    # Every host needs as many batches as the one with the most examples.
    spec: Any = batches.element_spec  # a dict of `tf.TensorSpec`
    empty: Any = {k: tf.zeros([1, *v.shape], v.dtype) for k, v in spec.items()}
    batches = batches.concatenate(tf.data.Dataset.from_tensor_slices(empty))
    count = num_eval_batches(data, split, batch_size)
    return _for_replicas(batches.take(count), batch_size, context).prefetch(AUTOTUNE)


def num_eval_batches(data: "NoisySplits", split: str, batch_size: int) -> int:
    """Returns the number of global batches that `eval_batches` makes."""
    return math.ceil(data.num_examples(split) / batch_size)


def _gathered(
    examples: Examples, rows: tf.data.Dataset, is_served: bool = False
) -> tf.data.Dataset:
    """Turns batches of positions into batches of examples; those of streamed records are these."""

    def gather(columns):
        return rows.map(
            lambda batch: {name: tf.gather(values, batch) for name, values in columns.items()},
            AUTOTUNE,
        )

    if not examples.in_memory:
        return rows
    return examples.whole().flat_map(gather) if is_served else gather(examples.columns)


def _for_replicas(
    batches: tf.data.Dataset, batch_size: int, context: tf.distribute.InputContext
) -> tf.data.Dataset:
    """Splits this host's part of each global batch into one batch for each of its replicas."""
    if context.num_replicas_in_sync == context.num_input_pipelines:
        return batches
    size = context.get_per_replica_batch_size(batch_size)
    return batches.rebatch(size, drop_remainder=True)


def _padded(values: tf.Tensor, missing: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    paddings = [[0, missing]] + [[0, 0]] * (len(shape) - 1)
    return tf.ensure_shape(tf.pad(values, paddings), shape)

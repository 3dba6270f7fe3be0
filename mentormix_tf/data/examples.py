"""Reads the examples of a split, as `pipeline.py` makes batches of them.

A split that fits in memory is read once, and batches are gathered from it by position; it is held
decoded if all images have the same size, otherwise encoded. A larger split is streamed: its files,
which were written in random order, are read 16 at a time in a new order each epoch, and the records
are shuffled in windows.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath

from mentormix_tf import randomness
from mentormix_tf.data import augment, headers, records
from mentormix_tf.data.manifest_facts import labels_sha256
from mentormix_tf.errors import InputError

if TYPE_CHECKING:
    from mentormix_tf.data.prepared import NoisySplits

__all__ = [
    "ALONE",
    "AUTOTUNE",
    "COLUMNS",
    "DAMAGE",
    "MEMORY",
    "OF_ANNOTATORS",
    "WINDOW",
    "Examples",
    "columns",
    "damage",
    "decoding",
    "encoded",
    "is_damage",
    "stored",
]

MEMORY = 2**31  # most bytes of images to hold in memory
WINDOW = 4096  # streamed records that are shuffled together
COLUMNS = ("image", "label", "true_label", "is_clean")
OF_ANNOTATORS = ("annotators", "disagreeing")  # of splits with several people's labels, else -1
AUTOTUNE = tf.data.AUTOTUNE
_READ = 1000  # records that are parsed together
ALONE = tf.distribute.InputContext()  # one host, one replica
# What TensorFlow raises for a record or a file that can't be read.
DAMAGE = (tf.errors.DataLossError, tf.errors.NotFoundError, tf.errors.PermissionDeniedError)


@tf.autograph.experimental.do_not_convert
def stored(data: "NoisySplits", split: str) -> tf.data.Dataset:
    """The examples of a split, once each, in the order of its files.

    Args:
        data: the prepared split.
        split: name of the split.

    Returns:
        Examples as dicts from column to tensor: those of `COLUMNS` and id, with the image as it is
        stored, encoded. Reading raises an error that `is_damage` if a file is damaged.
    """
    data = dataclasses.replace(data, features=None)
    return Examples(data, split, memory=0, columns=(*COLUMNS, "id"), context=ALONE).in_order()


def columns(data: "NoisySplits", split: str, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Some columns of a split as arrays, in the order of its files; without reading the images.

    Args:
        data: the prepared split.
        split: name of the split.
        names: names of columns other than image, such as id, which is bytes.

    Raises:
        InputError: a file is damaged.
    """
    try:
        batches = list(_in_batches(data, split, names).as_numpy_iterator())
    except (*DAMAGE, tf.errors.InvalidArgumentError) as error:
        raise damage(data) from error
    return {name: np.concatenate([batch[name] for batch in batches]) for name in names}


def encoded(data: "NoisySplits", split: str) -> Iterator[bytes]:
    """The images of a split as they are stored, in the order of its files.

    Raises:
        InputError: a file is damaged.
    """
    try:
        for batch in _in_batches(data, split, ["image"]).prefetch(1).as_numpy_iterator():
            yield from batch["image"]
    except (*DAMAGE, tf.errors.InvalidArgumentError) as error:
        raise damage(data) from error


@tf.autograph.experimental.do_not_convert
def _in_batches(data, split, names):
    data = dataclasses.replace(data, features=None)
    return Examples(data, split, memory=0, columns=names, context=ALONE).in_batches(names)


@contextlib.contextmanager
def decoding(data: "NoisySplits", split: str) -> Iterator[None]:
    """A context that turns TensorFlow's errors about a split's files and images into short ones.

    Raises:
        InputError: a file is damaged, or an image can't be decoded.
    """
    try:
        yield
    except (*DAMAGE, tf.errors.InvalidArgumentError) as error:
        if is_damage(error):
            raise damage(data) from error
        raise InputError(
            f"{data.path}: an image of {split} can't be decoded: python -m mentormix_tf.verify "
            "names it."
        ) from error


def is_damage(error: Exception) -> bool:
    """Whether an error means that a file of a split can't be read, or is not as it was written."""
    return isinstance(error, DAMAGE) or records.NOT_AS_WRITTEN in str(error)


def damage(data: "NoisySplits") -> InputError:
    """Returns the error to raise if `is_damage`: it names the first file that is damaged."""
    remedy = f"delete {data.path} and prepare it again"
    for info in data.builder.info.splits.values():
        for path, expected in zip(info.filepaths, info.shard_lengths, strict=True):
            readable = tf.data.TFRecordDataset(str(path)).ignore_errors()
            count = int(readable.reduce(np.int64(0), lambda n, _: n + 1))
            if count != expected:
                return InputError(
                    f"{path} is damaged after record {count} of {expected}: {remedy}."
                )
            if not records.is_as_written(path, data.manifest):
                return InputError(
                    f"{path} {records.NOT_AS_WRITTEN}, but perhaps those of another split: "
                    f"{remedy}."
                )
    return InputError(
        f"{data.path} can't be read, though its files seem to be intact: python -m "
        "mentormix_tf.verify looks for more."
    )


class Examples:
    """The examples of a split, held in memory or streamed from files.

    Data sets of examples have positions, `[]`, int64, if the split is in memory, otherwise records
    of this host's part of the files.
    """

    def __init__(
        self,
        data: "NoisySplits",
        split: str,
        memory: int,
        columns: Sequence[str],
        context: tf.distribute.InputContext,
        begins: np.ndarray | None = None,
        is_served: bool = False,
    ):
        self.data, self.split, self.names, self.context = data, split, columns, context
        info = data.builder.info.splits[split]
        shape: Any = data.image_shape
        # TFDS does not know the number of bytes of a part of a split.
        whole = data.builder.info.splits[split.partition("[")[0]]
        encoded_bytes = whole.num_bytes * info.num_examples / whole.num_examples
        decoded_bytes = math.inf if None in shape else info.num_examples * math.prod(shape)
        has_features = data.features is not None and "image" in columns
        self.is_decoded = decoded_bytes <= memory and not has_features
        self.in_memory = self.is_decoded or encoded_bytes <= memory or has_features
        if not self.in_memory and context.num_input_pipelines > 1:
            share = tfds.even_splits(split, context.num_input_pipelines)[context.input_pipeline_id]
            info = data.builder.info.splits[share]
        self.files = info.file_instructions
        self.features = self._features() if has_features else None
        self.weights = data.weights if split.partition("[")[0] == "train" else None
        self.begins = begins  # see `stages.Stages`
        if begins is not None and not self.in_memory and context.num_input_pipelines > 1:
            raise InputError(
                f"{data.examples_name} must not have keep=0 or start where several hosts stream a "
                "split that is too large for their memory: have only weights there, such as 0."
            )
        if self.in_memory and not is_served:
            with tf.device("CPU"):
                self.columns = {name: tf.constant(v) for name, v in self._read().items()}

    def batches(
        self, examples: tf.data.Dataset, batch_size: int, drop_remainder: bool = True
    ) -> tf.data.Dataset:
        """This host's part of each global batch."""
        host, hosts = self.context.input_pipeline_id, self.context.num_input_pipelines
        part = batch_size // hosts
        if not self.in_memory:
            return examples.batch(part, drop_remainder=drop_remainder)
        whole = examples.batch(batch_size, drop_remainder=drop_remainder)
        return whole.map(lambda positions: positions[host * part : (host + 1) * part])

    def in_order(self) -> tf.data.Dataset:
        if self.in_memory:
            return tf.data.Dataset.range(self.data.num_examples(self.split))
        return self._records(tf.range(len(self.files)))

    def shuffled(self, seed: tf.Tensor, step: tf.Tensor | int) -> tf.data.Dataset:
        """In a random order, those that have begun by a step."""
        if self.in_memory and self.begins is not None:
            positions = tf.where(tf.constant(self.begins) <= step)[:, 0]
            order = tf.gather(positions, _order(tf.shape(positions)[0], seed))
            return tf.data.Dataset.from_tensor_slices(order)
        if self.in_memory:
            return tf.data.Dataset.from_tensor_slices(
                _order(self.data.num_examples(self.split), seed)
            )
        # Dataset.shuffle can't take a seed that depends on the epoch, so windows are shuffled here.
        examples = self._begun_records(_order(len(self.files), seed), step)

        def shuffle(i, window):
            order = _order(tf.shape(window["label"])[0], randomness.fold_in(seed, i))
            return {name: tf.gather(values, order) for name, values in window.items()}

        return examples.batch(WINDOW).enumerate().map(shuffle, AUTOTUNE).unbatch()

    def decoded(
        self,
        batches: tf.data.Dataset,
        decode: Callable[..., tf.Tensor],
        image_shape: Sequence[int],
        size: int,
    ) -> tf.data.Dataset:
        """Decodes the images of pairs of a seed and a batch, of which the last may be smaller.

        Encoded images are decoded one by one, so that the work is spread over all cores.
        """

        def whole(seed, batch):
            if self.features is not None:
                return seed, {**batch, "image": decode(batch["image"], image_shape, seed)}
            images = tf.cast(batch["image"], tf.float32)
            if tuple(self.data.image_shape[:2]) != tuple(image_shape[:2]):
                images = tf.image.resize(images, image_shape[:2], antialias=True)
            return seed, {**batch, "image": images}

        def numbered(seed, batch):
            count = tf.shape(batch["label"])[0]
            return tf.repeat(seed[None], count, axis=0), tf.range(count), batch

        def one(seed, i, example):
            image = decode(example["image"], image_shape, randomness.fold_in(seed, i))
            return seed, {**example, "image": tf.ensure_shape(image, image_shape)}

        if self.is_decoded or self.features is not None:
            return batches.map(whole, AUTOTUNE)
        examples = batches.map(numbered, AUTOTUNE).unbatch().map(one, AUTOTUNE)
        return examples.batch(size).map(lambda seeds, batch: (seeds[0], batch))

    def whole(self) -> tf.data.Dataset:
        """The columns as one element, which the process that makes batches of it reads itself."""
        examples = self.in_batches(self.names).unbatch()
        examples = examples.map(self._decoded, AUTOTUNE) if self.is_decoded else examples
        return examples.batch(self.data.num_examples(self.split))

    def _features(self) -> np.ndarray:
        """The features of the examples: `[n, views, size]`, float32."""
        assert self.data.features is not None
        first, skip, *_ = self._range(self.files[0])
        count = self.data.num_examples(self.split)
        return self.data.features[self.split.partition("[")[0]][first + skip :][:count]

    def _begun_records(self, order: tf.Tensor, step: tf.Tensor | int) -> tf.data.Dataset:
        if self.begins is None:
            return self._records(order, cycle_length=16)
        begins = tf.constant(self.begins)
        examples = self._records(order, cycle_length=16, names=(*self.names, "index"))
        examples = examples.filter(lambda each: tf.gather(begins, each["index"]) <= step)
        return examples.map(lambda example: {name: example[name] for name in self.names})

    def _records(
        self, order: tf.Tensor, cycle_length: int = 1, names: Sequence[str] = ()
    ) -> tf.data.Dataset:
        """Parsed records of the files (or parts of files), which are read in the given order."""
        parse = self._parser(names or self.names)
        return self._serialized(order, cycle_length).map(parse, num_parallel_calls=AUTOTUNE)

    def in_batches(self, names: Sequence[str]) -> tf.data.Dataset:
        """Some columns in the order of the files, in batches, which is quicker than one by one."""
        batches = self._serialized(tf.range(len(self.files))).batch(_READ)
        return batches.map(self._parser(names), num_parallel_calls=AUTOTUNE)

    def _serialized(self, order: tf.Tensor, cycle_length: int = 1) -> tf.data.Dataset:
        """Positions and records of the files (or parts of files)."""
        paths = tf.constant([str(file.filename) for file in self.files])
        ranges = tf.constant([self._range(file) for file in self.files], tf.int64)
        parts = (tf.gather(paths, order), *tf.unstack(tf.gather(ranges, order), axis=1))

        def read(path, offset, skip, take, *written):
            return records.checked(path, *written).enumerate(offset).skip(skip).take(take)

        return tf.data.Dataset.from_tensor_slices(parts).interleave(
            read,  # pyright: ignore[reportArgumentType]  # the stubs expect one argument
            cycle_length,
            num_parallel_calls=AUTOTUNE,
            deterministic=True,
        )

    def _parser(self, names: Sequence[str]) -> Callable[..., dict[str, tf.Tensor]]:
        """A function from a position and a record, or from `[n]` of both, to columns by name."""
        features: Any = self.data.builder.info.features
        texts = (tfds.features.Image, tfds.features.Text)
        stored = {
            name: tf.io.FixedLenFeature([], tf.string if isinstance(each, texts) else tf.int64)
            for name, each in features.items()
        }
        weights = None if self.weights is None else tf.constant(self.weights)

        def parse(index, record):
            parse_example = tf.io.parse_example if index.shape.rank else tf.io.parse_single_example
            example = parse_example(record, stored)
            unknown = tf.fill(tf.shape(index), tf.constant(-1, tf.int64))
            lacking = dict.fromkeys(("verified", *OF_ANNOTATORS), unknown)
            example = {**lacking, **example, "index": index}
            one = tf.ones(tf.shape(index))
            example["example_weight"] = one if weights is None else tf.gather(weights, index)
            return {name: example[name] for name in names}

        return parse

    def _range(self, file: Any) -> tuple[int, ...]:
        """Where a file's records begin in the split, which to read of them, and what was written.

        Returns:
            `(position, skip, take, number of records in the file, fingerprint as a number)`.
        """
        info = self.data.builder.info.splits[self.split]
        position = [str(path) for path in info.filepaths].index(str(file.filename))
        length, name = file.examples_in_shard, epath.Path(file.filename).name
        # -1 instead of the number of records, so that the end, where they are checked, is read.
        take = -1 if file.skip + file.take == length else file.take
        fingerprint = records.written(self.data.manifest, name)
        return sum(info.shard_lengths[:position]), file.skip, take, length, fingerprint

    def _read(self) -> dict[str, np.ndarray]:
        """All columns as arrays, after checking that they are what was written."""
        columns = self._collected(self._decoded_quickly if self.is_decoded else None)
        if not columns.pop("is_plain", np.array([])).all():
            columns = self._collected(self._decoded)
        if self.split == "train" and "validation" not in self.data:
            _check_labels(self.data, columns["id"], columns["label"])
        if self.features is not None:
            columns["image"] = self.features
        return {name: columns[name] for name in self.names}

    def _collected(self, decode: Callable[[Any], Any] | None) -> dict[str, np.ndarray]:
        names = [name for name in self.names if name != "image" or self.features is None]
        names = list(dict.fromkeys([*names, "id", "label"]))
        batches = self.in_batches(names)
        if decode is not None:
            examples = batches.unbatch().map(decode, num_parallel_calls=AUTOTUNE)
            batches = examples.batch(_READ)
        try:
            found = list(batches.prefetch(AUTOTUNE).as_numpy_iterator())
        except (*DAMAGE, tf.errors.InvalidArgumentError) as error:
            raise damage(self.data) from error
        return {name: np.concatenate([batch[name] for batch in found]) for name in found[0]}

    def _decoded_quickly(self, example: Any) -> Any:
        """Decodes an image, and says whether it could do without `_decoded`, which takes longer."""
        shape: Any = self.data.image_shape
        image = tf.io.decode_image(example["image"], shape[-1], expand_animations=False)
        is_plain = headers.is_plain(example["image"])
        return {**example, "image": tf.ensure_shape(image, shape), "is_plain": is_plain}

    def _decoded(self, example: Any) -> Any:
        shape: Any = self.data.image_shape
        image = augment.decode_whole(example["image"], shape)
        return {**example, "image": tf.cast(tf.round(image), tf.uint8)}


def _check_labels(data: "NoisySplits", ids: np.ndarray, labels: np.ndarray) -> None:
    """Compares the training labels with the hash of them that the run's results will state."""
    sha256 = labels_sha256([identifier.decode() for identifier in ids], labels.tolist())
    if sha256 != data.manifest["split_sha256"]:
        raise InputError(
            f"{data.path} has other training labels than its manifest.json says, perhaps those of "
            "another split: delete the folder and prepare it again."
        )


def _order(size: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A random permutation of `size` positions: `[size]`, int64."""
    return tf.cast(tf.argsort(randomness.uniform([size], seed), stable=True), tf.int64)

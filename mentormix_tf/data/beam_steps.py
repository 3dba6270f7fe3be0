"""What the workers of an Apache Beam pipeline do: they check images, and write records in order.

The records of a split are sorted before any is made, and cut into fragments. A worker writes a
fragment, reading its images by position, one at a time; then fragments are joined to the split's
files. So no image passes through the pipeline, and memory does not grow with the images.

This module does not import Beam: each step is a function of a `Task`, a small file that the
workers read, and leaves its result in another.
"""

import contextlib
import dataclasses
import hashlib
import json
import pickle
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath

from mentormix_tf import files
from mentormix_tf.data import images
from mentormix_tf.data.sources.images_on_demand import ImagesOnDemand
from mentormix_tf.errors import InputError

__all__ = [
    "Fragment",
    "Shard",
    "SplitFiles",
    "Task",
    "find_bad_images",
    "found_bad_images",
    "join_fragments",
    "shards_of",
    "store",
    "write_fragment",
]

_RECORD_OVERHEAD = 16  # bytes of a TFRecord around its data


@dataclasses.dataclass(frozen=True)
class Task:
    """The input of a step.

    Attributes:
        path: the file that has it.
        sha256: the SHA-256 of the file, so that no other is unpickled.
    """

    path: str
    sha256: str

    def read(self) -> Any:
        """Reads the input."""
        content = epath.Path(self.path).read_bytes()
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise InputError(f"{self.path} was changed while the split was written.")
        return pickle.loads(content)

    def output(self) -> epath.Path:
        """The file that the step writes."""
        return epath.Path(f"{self.path}.done")


def store(folder: epath.Path, inputs: Iterable[Any]) -> list[Task]:
    """Writes the inputs of steps to files.

    Args:
        folder: a folder that all workers can reach; it is created.
        inputs: anything that can be pickled, one at a time.
    """
    folder.mkdir(parents=True)
    tasks = []
    for number, content in enumerate(inputs):
        path, pickled = folder / f"{number:05d}", pickle.dumps(content)
        path.write_bytes(pickled)
        tasks.append(Task(str(path), hashlib.sha256(pickled).hexdigest()))
    return tasks


@contextlib.contextmanager
def _whole(path: epath.Path, task: Task) -> Iterator[str]:
    """A file beside a task's, which becomes `path` at the end; a step may run twice at a time."""
    beside = f"{task.path}.{uuid.uuid4().hex}"
    yield beside
    epath.Path(beside).replace(path)


def find_bad_images(task: Task, max_pixels: int) -> None:
    """Step: tries to decode images.

    Args:
        task: the images, and the position of the first among all.
        max_pixels: most pixels that an image may have.
    """
    part, first = task.read()
    bad = images.bad_images(part, max_pixels, f"{len(part):,}")
    with _whole(task.output(), task) as beside:
        epath.Path(beside).write_text(json.dumps([[first + i, why] for i, why in bad.items()]))


def found_bad_images(tasks: Iterable[Task]) -> dict[int, str]:
    """Reads what `find_bad_images` has found: reasons by position."""
    return {
        position: why for task in tasks for position, why in json.loads(task.output().read_text())
    }


@dataclasses.dataclass(frozen=True)
class Fragment:
    """Records that follow each other in a split.

    Attributes:
        ids: their ids.
        numbers: `[n]`, int64, the values of each feature that is a number, by name.
        images: their images.
    """

    ids: Sequence[str]
    numbers: Mapping[str, np.ndarray]
    images: ImagesOnDemand

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yields each example."""
        for i, (identifier, image) in enumerate(zip(self.ids, self.images, strict=True)):
            numbers = {name: int(values[i]) for name, values in self.numbers.items()}
            yield {"id": identifier, "image": image, **numbers}


@dataclasses.dataclass(frozen=True)
class SplitFiles:
    """The files of a split.

    Attributes:
        fragments: the inputs for its fragments, in the order of the records.
        num_examples: number of its records.
        num_shards: function of (total size of the records in bytes, their number) that returns the
            number of files.
        path: function of (number of a file, number of files) that returns its path.
    """

    fragments: Sequence[Task]
    num_examples: int
    num_shards: Callable[[int, int], int]
    path: Callable[[int, int], Any]

    def count(self, size: int) -> int:
        """The number of files for records of a total size in bytes.

        TFDS makes 1, 2, 4, ... or 1024 files, and more only of a TiB.
        """
        return min(self.num_shards(size, self.num_examples), len(self.fragments))

    def of_shard(self, index: int, count: int) -> Sequence[Task]:
        """The fragments of one of `count` files; `count` divides the number of fragments."""
        each = len(self.fragments) // count
        return self.fragments[index * each : (index + 1) * each]

    def total_size(self) -> int:
        """The size in bytes of all records, after their fragments were written."""
        sizes = sum(files.size(task.output()) for task in self.fragments)
        return sizes - _RECORD_OVERHEAD * self.num_examples


@dataclasses.dataclass(frozen=True)
class Shard:
    """One of the `count` files of a split."""

    split: str
    index: int
    count: int


def write_fragment(
    named: tuple[str, Task], features: tfds.features.FeaturesDict
) -> tuple[str, int]:
    """Step: writes the records of a fragment.

    Args:
        named: the name of the split, and its `Fragment`.
        features: the features of an example.

    Returns:
        The name of the split, and the size of the records in bytes.
    """
    split, task = named
    size = 0
    with _whole(task.output(), task) as beside, tf.io.TFRecordWriter(beside) as file:
        for example in task.read():
            record = features.serialize_example(example)
            file.write(record)
            size += len(record)
    return split, size


def shards_of(sized: tuple[str, int], splits: Mapping[str, SplitFiles]) -> list[Shard]:
    """Step: says which files a split has.

    Args:
        sized: name of the split, and the size of its records in bytes.
        splits: all splits by name.
    """
    name, size = sized
    count = splits[name].count(size)
    return [Shard(name, index, count) for index in range(count)]


def join_fragments(shard: Shard, splits: Mapping[str, SplitFiles]) -> None:
    """Step: joins fragments to one of the split's files.

    Args:
        shard: the file.
        splits: all splits by name.
    """
    split = splits[shard.split]
    tasks = split.of_shard(shard.index, shard.count)
    path = epath.Path(split.path(shard.index, shard.count))
    with _whole(path, tasks[0]) as beside, epath.Path(beside).open("wb") as whole:
        for task in tasks:
            with task.output().open("rb") as fragment:
                shutil.copyfileobj(fragment, whole, 2**20)

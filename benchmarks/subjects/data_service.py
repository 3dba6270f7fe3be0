"""The trainer's processor time for JPEG batches of 224 pixels, made here and by two servers.

The servers are processes on the same host, so times by the clock would say nothing.
"""

import contextlib
import itertools
import pathlib
import subprocess
import sys
import tempfile
import time

from benchmarks.harness import Measurement, Size
from benchmarks.subjects.jpeg import BATCH, write_photos
from mentormix_tf.data import augment, pipeline, splits
from mentormix_tf.data.service import NO_SERVERS, Servers

__all__ = ["measure"]

ADDRESSES = ("localhost:29950", "localhost:29952")
SIDE = 224


@contextlib.contextmanager
def serving():
    """A context with two servers."""
    command = [sys.executable, "-m", "mentormix_tf.data_service"]
    processes = [
        subprocess.Popen([*command, f"--address={a}"], stdout=subprocess.PIPE) for a in ADDRESSES
    ]
    try:
        yield Servers(tuple(f"grpc://{address}" for address in ADDRESSES))
    finally:
        for process in processes:
            process.terminate()
            process.communicate()


def measure(size: Size) -> list[Measurement]:
    """Measures both in turns, each time with pipelines made anew."""
    count = 4 if size.is_quick else 30
    found = {"made here": [], "made by two servers": []}
    with tempfile.TemporaryDirectory() as name, serving() as servers:
        folder = pathlib.Path(name)
        write_photos(folder / "photos", 80 if size.is_quick else 400)
        data = splits.load_split(f"folder:{folder}/photos", data_dir=f"{folder}/data")
        servers.check(data.path, data.files("train"))
        for _ in range(max(1, size.repetitions // 4)):
            for (_, samples), by in zip(found.items(), (NO_SERVERS, servers), strict=True):
                how, shape = augment.AUGMENTATIONS["imagenet"], (SIDE, SIDE, 3)
                batches = iter(pipeline.train_batches(data, BATCH, 0, how, shape, servers=by))
                next(batches)
                started = time.process_time()
                for _ in itertools.islice(batches, count):
                    pass
                samples.append((time.process_time() - started) / (count * BATCH) * 1000)
                del batches
    return [Measurement(f"{name} processor", "ms an image", s) for name, s in found.items()]

"""Measures the speed and the memory of writing splits of any size.

    python -m benchmarks.write --records=300000
    python -m benchmarks.write --records=300000 --beam_processes=2
    python -m benchmarks.write --records=2400000 --jpeg_side=16 --beam_processes=2

Writes made-up images into a temporary folder.
"""

import contextlib
import dataclasses
import os
import resource
import sys
import tempfile
import threading
import time

import numpy as np
import psutil
import tensorflow_datasets as tfds

from benchmarks import made_up_images
from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.data.beam_pipeline import BeamPipeline
from mentormix_tf.data.sources.base import SourceSplit
from mentormix_tf.data.writer import NoisyLabels, NoisyLabelsConfig, SplitPlan


@dataclasses.dataclass(frozen=True)
class WriteConfig:
    """The split to write.

    Args:
        records: number of images.
        image_bytes: size of each image.
        jpeg_side: height and width of JPEGs to write instead.
        beam_processes: number of processes of an Apache Beam pipeline; 0 for this process alone.
    """

    records: int = 400_000
    image_bytes: int = 5_000
    jpeg_side: int = 0
    beam_processes: int = 0


def main(given: Given) -> None:
    """Writes the records, and prints their speed and the peak memory."""
    config = given.config(WriteConfig)
    count = config.records
    source = SourceSplit(
        ids=[f"train_{i:09d}" for i in range(count)],
        labels=np.arange(count) % 1000,
        images=made_up_images.jpegs(count, config.jpeg_side)
        if config.jpeg_side
        else made_up_images.same_bytes(count, config.image_bytes),
    )
    plan = SplitPlan(source, source.labels, np.ones(count, bool))
    settings = dict(dataset="made up", noise="none", noise_level=None)
    workers = [f"--direct_num_workers={config.beam_processes}"]
    before = _peak(os.getpid())
    tfds.disable_progress_bar()
    with tempfile.TemporaryDirectory() as data_dir:
        builder = NoisyLabels(
            data_dir=data_dir,
            config=NoisyLabelsConfig(
                name="benchmark",
                settings=settings,
                class_names=[str(i) for i in range(1000)],
                plans={"train": plan},
                pipeline=BeamPipeline(workers) if config.beam_processes else None,
            ),
        )
        started = time.perf_counter()
        with _watched() as peaks:
            builder.download_and_prepare()
        seconds = time.perf_counter() - started
        gigabytes = builder.info.dataset_size / 1e9
    print(f"{count:,} records, {gigabytes:.2f} GB in {seconds:.0f} s")
    print(f"  {count / seconds:,.0f} records/s; {_processor_time():.0f} s of processor time")
    own = peaks.pop(os.getpid())
    print(f"  peak memory {own / 1e9:.2f} GB, of which {before / 1e9:.2f} GB before writing")
    for peak in sorted(peaks.values(), reverse=True):
        print(f"  and {peak / 1e9:.2f} GB of another process")


@contextlib.contextmanager
def _watched():
    """A context that gathers the peak memory of this process and its children, by their ids."""
    peaks, ended = {}, threading.Event()

    def watch():
        while not ended.wait(1.0):
            for process in [own, *own.children(recursive=True)]:
                with contextlib.suppress(OSError, psutil.Error, StopIteration):
                    peaks[process.pid] = _peak(process.pid)

    own = psutil.Process()
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield peaks
    ended.set()
    thread.join()
    peaks[own.pid] = _peak(own.pid)


def _processor_time():
    """Seconds that this process and its children have computed, with their imports."""
    kinds = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return sum(sum(resource.getrusage(kind)[:2]) for kind in kinds)


def _peak(process):
    """The most memory that a process has had, in bytes."""
    with open(f"/proc/{process}/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))


if __name__ == "__main__":
    sections = [Section("Writing", WriteConfig)]
    sys.exit(command.run(main, "Measures the speed and memory of writing splits.", sections))

"""Measures the speed and the memory of writing splits of any size.

    python -m benchmarks.write --records=400000

Writes made-up images of 5,000 bytes into a temporary folder.
"""

import dataclasses
import resource
import sys
import tempfile
import time

import numpy as np
import tensorflow_datasets as tfds

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.data.sources.base import SourceSplit
from mentormix_tf.data.writer import NoisyLabels, NoisyLabelsConfig, SplitPlan


@dataclasses.dataclass(frozen=True)
class WriteConfig:
    """The split to write.

    Args:
        records: number of images.
        image_bytes: size of each image.
    """

    records: int = 400_000
    image_bytes: int = 5_000


def main(given: Given) -> None:
    """Writes the records, and prints their speed and the peak memory."""
    config = given.config(WriteConfig)
    content = np.random.RandomState(0).bytes(config.image_bytes)
    source = SourceSplit(
        ids=[f"train_{i:09d}" for i in range(config.records)],
        labels=np.arange(config.records) % 1000,
        images=lambda: (content for _ in range(config.records)),
    )
    plan = SplitPlan(source, source.labels, np.ones(config.records, bool))
    settings = dict(dataset="made up", noise="none", noise_level=None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tfds.disable_progress_bar()
    with tempfile.TemporaryDirectory() as data_dir:
        builder = NoisyLabels(
            data_dir=data_dir,
            config=NoisyLabelsConfig(
                name="benchmark",
                settings=settings,
                class_names=[str(i) for i in range(1000)],
                plans={"train": plan},
            ),
        )
        started = time.perf_counter()
        builder.download_and_prepare()
        seconds = time.perf_counter() - started
        gigabytes = builder.info.dataset_size / 1e9
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{config.records:,} records, {gigabytes:.2f} GB in {seconds:.0f} s")
    print(f"  {config.records / seconds:,.0f} records/s")
    print(f"  peak memory {peak / 1e6:.2f} GB, of which {before / 1e6:.2f} GB before writing")


if __name__ == "__main__":
    sections = [Section("Writing", WriteConfig)]
    sys.exit(command.run(main, "Measures the speed and memory of writing splits.", sections))

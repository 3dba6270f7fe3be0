"""Peak memory of the train command by size of the data set, held in memory and streamed.

The data sets are made up: JPEG images of 8 x 8 pixels. Each run is a process of its own.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import tensorflow_datasets as tfds

from benchmarks import made_up_images
from benchmarks.harness import Measurement, Size
from mentormix_tf.data.examples import MEMORY
from mentormix_tf.data.sources.base import SourceSplit
from mentormix_tf.data.writer import NoisyLabels, NoisyLabelsConfig, SplitPlan

__all__ = ["measure"]

SIDE, CLASSES, STEPS = 8, 10, 200
TRAIN = r"""
import functools, pathlib, re, sys
from mentormix_tf import backend
backend.load()
from mentormix_tf.config import OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.data import pipeline, splits
from mentormix_tf.training.run import run
split, folder, memory, steps = sys.argv[1:]
splits.prepare = lambda config: splits.load(split)
for name in ("train_batches", "eval_batches"):
    made = functools.partial(getattr(pipeline, name), memory=int(memory))
    setattr(pipeline, name, made)
training = TrainingConfig(train_steps=int(steps), eval_every=int(steps))
run(RunConfig(training=training, method="vanilla"), OutputConfig(folder))
# Not getrusage, whose peak is at least that of the process that started this one.
status = pathlib.Path("/proc/self/status").read_text()
print(int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1e3)
"""


def measure(size: Size) -> list[Measurement]:
    """Measures data sets of 10,000 to 2,400,000 images."""
    counts = [1_000] if size.is_quick else [10_000, 50_000, 300_000, 2_400_000]
    found = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            split = _written(folder, count)
            for name, memory in {"in memory": MEMORY, "streamed": 0}.items():
                arguments = [str(split), f"{folder}/{name}", str(memory), str(STEPS)]
                command = [sys.executable, "-c", TRAIN, *arguments]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                peak = float(done.stdout.split()[-1])
                found.append(Measurement(f"{count:,} images, {name}", "MB", [peak]))
    return found


def _written(folder: str, count: int) -> pathlib.Path:
    """Writes a split with so many training images and 1,000 test images."""
    plans = {}
    for name, number in {"train": count, "test": 1_000}.items():
        source = SourceSplit(
            ids=[f"{name}_{i:07d}" for i in range(number)],
            labels=np.arange(number) % CLASSES,
            images=made_up_images.jpegs(number, SIDE),
        )
        plans[name] = SplitPlan(source, source.labels, np.ones(number, bool))
    config = NoisyLabelsConfig(
        name="made_up",
        settings={
            "dataset": "made up",
            "noise": "none",
            "noise_level": None,
            "noise_seed": 0,
            "validation_fraction": 0.0,
        },
        class_names=[str(i) for i in range(CLASSES)],
        image_shape=(SIDE, SIDE, 3),
        image_format="jpeg",
        plans=plans,
    )
    builder = NoisyLabels(data_dir=folder, config=config)
    tfds.disable_progress_bar()
    builder.download_and_prepare()
    return pathlib.Path(builder.data_path)

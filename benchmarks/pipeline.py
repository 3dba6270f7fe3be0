"""Measures the speed of a training pipeline, and the time that each of its stages takes.

    python -m benchmarks.pipeline --dataset=cifar10

Prints images/s after each stage, and the stage's share of the whole pipeline's time.
"""

import itertools
import sys
import time

import tensorflow as tf

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.config import DataConfig
from mentormix_tf.data import augment, pipeline, splits

BATCH = 128
SECONDS = 10


def images_per_second(batches):
    """Images per second over about ten seconds, after a warm-up of 20 batches."""
    batches = iter(batches)
    for _ in itertools.islice(batches, 20):
        pass
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        next(batches)
        count += BATCH
    return count / (time.perf_counter() - started)


def main(given: Given) -> None:
    """Measures each stage of the pipeline of the split that the flags name."""
    data = splits.prepare(given.config(DataConfig))
    shape = data.image_shape
    files = [str(path) for path in data.builder.info.splits["train"].filepaths]
    records = tf.data.TFRecordDataset(files).repeat().batch(BATCH).prefetch(1)

    def decoded():
        skip = tf.data.TFRecordDataset(files).repeat()
        features = data.builder.info.features
        return skip.map(features.deserialize_example, tf.data.AUTOTUNE).batch(BATCH).prefetch(1)

    def train(name):
        return pipeline.train_batches(data, BATCH, 0, augment.AUGMENTATIONS[name], shape)

    print("once, at the start")
    print(f"  read records            {images_per_second(records):>12,.0f} images/s")
    print(f"  read and decode         {images_per_second(decoded()):>12,.0f} images/s")
    print("each step")
    stages = {
        "shuffle and gather": "none",
        "+ crop and flip": "cifar_standard",
        "+ crop, flip and colors": "cifar",
    }
    speeds = {stage: images_per_second(train(name)) for stage, name in stages.items()}
    total = 1 / list(speeds.values())[-1]
    before = 0.0
    for stage, speed in speeds.items():
        share = (1 / speed - before) / total
        print(f"  {stage:<24}{speed:>12,.0f} images/s, {share:>6.1%} of the time")
        before = 1 / speed


if __name__ == "__main__":
    sections = [Section("The noisy split", DataConfig)]
    sys.exit(command.run(main, "Measures the training pipeline of a split.", sections))

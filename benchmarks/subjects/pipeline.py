"""CIFAR batches by stage of the pipeline: how many images per second it makes, on all cores."""

import itertools
import time

from benchmarks.harness import Measurement, Size
from mentormix_tf.data import augment, pipeline, splits

__all__ = ["measure", "speed"]

BATCH = 128
STAGES = {
    "shuffle and gather": "none",
    "and crop and flip": "cifar_standard",
    "and crop, flip and colors": "cifar",
}


def speed(batches, seconds: float, batch_size: int = BATCH) -> float:
    """Images per second of an iterator over batches, for about some seconds."""
    started, count = time.perf_counter(), 0
    while count == 0 or time.perf_counter() - started < seconds:
        next(batches)
        count += batch_size
    return count / (time.perf_counter() - started)


def measure(size: Size) -> list[Measurement]:
    """Measures each stage; the stages take turns. CIFAR-10 is prepared if it is missing."""
    if size.is_quick:
        data, stages = splits.load_split("digits"), {"shuffle and gather": "none"}
    else:
        data, stages = splits.load_split("cifar10"), STAGES
    shape = data.image_shape
    made = {}
    for stage, name in stages.items():
        batches = pipeline.train_batches(data, BATCH, 0, augment.AUGMENTATIONS[name], shape)
        made[stage] = iter(batches)
        for _ in itertools.islice(made[stage], 10):
            pass
    speeds = {stage: [] for stage in made}
    for _ in range(max(1, size.repetitions // 4)):
        for stage, batches in made.items():
            # What was made ahead while others had their turn does not count.
            for _ in itertools.islice(batches, 20):
                pass
            speeds[stage].append(speed(batches, 0.1 if size.is_quick else 2.0))
    return [Measurement(stage, "images/s", samples) for stage, samples in speeds.items()]

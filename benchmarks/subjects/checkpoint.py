"""Saving a run's checkpoint, and restoring it."""

import dataclasses
import tempfile

from etils import epath

from benchmarks import harness, steps
from benchmarks.harness import Measurement, Size
from mentormix_tf.training.checkpoints import Checkpoints
from mentormix_tf.training.loop import Progress

__all__ = ["measure"]


def measure(size: Size) -> list[Measurement]:
    """Measures each beside a step of the same model, MentorMix with a weight average."""
    found = []
    networks = ("small_cnn",) if size.is_quick else ("small_cnn", "resnet32_thin")
    for network in networks:
        shape = (8, 8, 3) if size.is_quick else (32, 32, 3)
        model = steps.build("mentormix", network, shape, ema_decay=0.9999)
        step = steps.stepper(model, steps.columns(128, shape))
        with tempfile.TemporaryDirectory() as folder:
            checkpoints = Checkpoints(model, epath.Path(folder), 1)
            progress, saved = dataclasses.asdict(Progress()), iter(range(1, 10**6))
            made = {
                "step": step,
                "save": lambda c=checkpoints, p=progress, s=saved: c.save(next(s), p),
                "restore": checkpoints.restore,
            }
            times = harness.alternate(made, max(1, size.repetitions // 2))
        found += harness.summary(times, network)
    return found

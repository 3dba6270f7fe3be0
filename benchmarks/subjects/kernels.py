"""A step with TensorFlow's own kernels and with those of oneDNN, each in a process of its own."""

import os
import sys

from benchmarks import harness
from benchmarks.harness import Child, Measurement, Size

__all__ = ["measure"]

RUNS = [
    ("vanilla", "small_cnn", 8),
    ("vanilla", "small_cnn", 32),
    ("mentormix", "small_cnn", 32),
    ("vanilla", "resnet9_thin", 32),
    ("vanilla", "resnet32_thin", 32),
    ("mentormix", "resnet32_thin", 32),
    ("vanilla", "preact_resnet18", 32),
    ("vanilla", "mobilenet_v2", 64),
]


def measure(size: Size) -> list[Measurement]:
    """Measures several networks."""
    found = []
    for method, network, side in RUNS[:1] if size.is_quick else RUNS:
        command = [sys.executable, "-m", "benchmarks.own_step", method, network, str(side), "1"]
        made = {
            kernels: Child(command, {**os.environ, "TF_ENABLE_ONEDNN_OPTS": value})
            for kernels, value in {"TensorFlow": "0", "oneDNN": "1"}.items()
        }
        times = harness.alternate(made, max(1, size.repetitions // 2))
        for child in made.values():
            child.close()
        found += harness.summary(times, f"{network} {side} px, {method}", items=128)
    return found

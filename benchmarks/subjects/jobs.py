"""A study with one and with two runs at once: --jobs=1 and --jobs=2, on all cores."""

import pathlib
import subprocess
import sys
import tempfile
import time

from benchmarks.harness import Measurement, Size

__all__ = ["measure"]

STUDY = """
title: A benchmark
training: {{train_steps: {steps}, eval_every: {steps}}}
data: {{dataset: digits, noise_level: 0.4}}
methods: {{vanilla: , mixup: }}
seeds: {seeds}
"""


def measure(size: Size) -> list[Measurement]:
    """Measures the whole study, starting included."""
    study = STUDY.format(
        steps=5 if size.is_quick else 600, seeds=[0] if size.is_quick else [0, 1, 2]
    )
    found = []
    for jobs in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "study.yaml"
            file.write_text(study)
            command = [sys.executable, "-m", "mentormix_tf.study", str(file)]
            command += [f"--study_dir={folder}/out", f"--jobs={jobs}"]
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds = time.perf_counter() - started
        found.append(Measurement(f"--jobs={jobs}", "s", [seconds]))
    return found

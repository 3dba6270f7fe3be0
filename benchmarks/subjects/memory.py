"""Peak memory of a training process, by batch size and by size of the data set.

Each run is a process of its own; the data sets are made up, of 32 x 32 pixels.
"""

import subprocess
import sys

from benchmarks.harness import Measurement, Size

__all__ = ["measure"]

TRAIN = r"""
import pathlib, re, sys
from mentormix_tf import backend
backend.load()
from benchmarks import steps
batch, count, audit = map(int, sys.argv[1:])
model = steps.build("mentormix", "small_cnn", num_examples=count, audit=bool(audit))
step = steps.stepper(model, steps.columns(batch, (32, 32, 3), num_examples=count))
for _ in range(3):
    step()
# Not getrusage, whose peak is at least that of the process that started this one.
status = pathlib.Path("/proc/self/status").read_text()
print(int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1e3)
"""


def measure(size: Size) -> list[Measurement]:
    """Measures batches of several sizes, and statistics for an audit of many examples."""
    runs = [(128, 50_000, 0)]
    if not size.is_quick:
        runs += [(512, 50_000, 0), (2048, 50_000, 0), (128, 50_000, 1), (128, 2_400_000, 1)]
    found = []
    for batch, count, audit in runs:
        command = [sys.executable, "-c", TRAIN, str(batch), str(count), str(audit)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        name = f"batches of {batch:,}" + (f", audit of {count:,} examples" if audit else "")
        found.append(Measurement(name, "MB", [float(done.stdout.split()[-1])]))
    return found

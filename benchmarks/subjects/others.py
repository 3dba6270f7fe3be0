"""The same training step in PyTorch: same network, batch and threads.

Needs a Python with PyTorch, `--torch_python`, in which each way is a process of its own: plain and
compiled, with channels last or first. The best of them is the one to compare with.
"""

import sys

from benchmarks import harness
from benchmarks.harness import Child, Measurement, Size

__all__ = ["measure"]

WAYS = ("eager", "eager channels_last", "compiled channels_last")


def measure(size: Size) -> list[Measurement]:
    """Measures vanilla and MentorMix; nothing without PyTorch."""
    if not size.torch_python:
        print("  left out: name a Python with PyTorch, --torch_python")
        return []
    found = []
    for network in ("small_cnn",) if size.is_quick else ("small_cnn", "resnet32_thin"):
        for method in ("vanilla", "mentormix"):
            own = [sys.executable, "-m", "benchmarks.own_step", method, network, "32", "1"]
            made = {"ours": Child(own)}
            torch = [size.torch_python, "-m", "benchmarks.torch_step", method, network]
            for way in WAYS[:1] if size.is_quick else WAYS:
                made[f"PyTorch {way}"] = Child([*torch, *way.split()])
            times = harness.alternate(made, size.repetitions)
            for child in made.values():
                child.close()
            found += harness.summary(times, f"{network}, {method}", items=128)
    return found

"""A step on one and on two virtual CPU devices; each count in a process of its own.

Two devices share the cores of one, so the ratio shows what replication costs, not what it gains.
"""

import sys

from benchmarks import harness
from benchmarks.harness import Child, Measurement, Size

__all__ = ["measure"]


def measure(size: Size) -> list[Measurement]:
    """Measures vanilla and MentorMix."""
    found = []
    for method in ("mentormix",) if size.is_quick else ("vanilla", "mentormix"):
        side = 8 if size.is_quick else 32
        command = [sys.executable, "-m", "benchmarks.own_step", method, "small_cnn", str(side)]
        made = {
            f"{count} device{'s' if count > 1 else ''}": Child([*command, str(count)])
            for count in (1, 2)
        }
        times = harness.alternate(made, size.repetitions)
        for child in made.values():
            child.close()
        found += harness.summary(times, method, items=128)
    return found

"""Measures contenders that take turns, and keeps the measurements as lines of JSON.

Taking turns, A B A B, lets whatever else the machine does hit all contenders alike, so ratios of
one run can be compared where times can't.
"""

import dataclasses
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mentormix_tf.errors import InputError

__all__ = [
    "Child",
    "Measurement",
    "Size",
    "Times",
    "alternate",
    "compare",
    "facts",
    "read",
    "summary",
    "table",
    "write",
]


@dataclasses.dataclass(frozen=True)
class Size:
    """How much to measure.

    Attributes:
        repetitions: turns of each contender.
        is_quick: whether to measure as little as possible, to see that it works.
        torch_python: a Python with PyTorch and torchvision; "" for none.
    """

    repetitions: int = 20
    is_quick: bool = False
    torch_python: str = ""


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What was measured of a contender.

    Attributes:
        name: what was measured, such as "small_cnn/mentormix processor".
        unit: such as s, MB, images/s, or "of vanilla" for a ratio.
        samples: one for each repetition.
    """

    name: str
    unit: str
    samples: Sequence[float]

    @property
    def value(self) -> float:
        """The median of the samples."""
        return statistics.median(self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """The first and the third quartile of the samples."""
        if len(self.samples) < 2:
            return self.samples[0], self.samples[0]
        first, _, third = statistics.quantiles(self.samples, n=4, method="inclusive")
        return first, third


@dataclasses.dataclass
class Times:
    """The times of a contender's turns, in seconds, wall and processor."""

    wall: list[float] = dataclasses.field(default_factory=list)
    processor: list[float] = dataclasses.field(default_factory=list)


class Child:
    """A contender in a process of its own, such as one of another framework.

    The process prints a line when it is ready, and after each line that it reads takes a turn and
    prints the processor time that this took, in seconds.

    Args:
        command: the process.
        environment: its environment; None for this process's.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None):
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.ready = self._line()
        self.processor = 0.0  # seconds, over all turns

    def __call__(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.processor += float(self._line())

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _line(self):
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise InputError(f"{' '.join(map(str, self._process.args))} ended early.")
        return line


def alternate(contenders: Mapping[str, Callable[[], Any]], repetitions: int) -> dict[str, Times]:
    """Lets contenders take turns, after a turn of each that is not timed.

    Args:
        contenders: functions that do what is to be timed, and wait for it; or `Child`ren.
        repetitions: turns of each.

    Returns:
        The times of each contender's turns.
    """
    for contender in contenders.values():
        contender()
    times = {name: Times() for name in contenders}
    for _ in range(repetitions):
        for name, contender in contenders.items():
            before = getattr(contender, "processor", 0.0)
            processor, wall = time.process_time(), time.perf_counter()
            contender()
            times[name].wall.append(time.perf_counter() - wall)
            of_child = getattr(contender, "processor", 0.0) - before
            times[name].processor.append(time.process_time() - processor + of_child)
    return times


def summary(
    times: Mapping[str, Times], label: str = "", items: int = 0, unit: str = "images"
) -> list[Measurement]:
    """Makes measurements of contenders' times, with ratios to those of the first.

    Args:
        times: from `alternate`.
        label: what the contenders have in common.
        items: how many things a turn deals with, for a speed; 0 for times.
        unit: what these are.
    """
    first = next(iter(times))
    prefix = f"{label}/" if label else ""
    found = []
    for name, own in times.items():
        for kind in ("processor", "wall"):
            taken = getattr(own, kind)
            title = f"{prefix}{name} {kind}"
            if items:
                found.append(Measurement(title, f"{unit}/s", [items / each for each in taken]))
            else:
                found.append(Measurement(title, "s", taken))
            if name != first:
                pairs = zip(taken, getattr(times[first], kind), strict=True)
                ratios = [own_time / other for own_time, other in pairs]
                found.append(Measurement(title, f"of the time of {first}", ratios))
    return found


def facts() -> dict[str, Any]:
    """Describes the machine and the code, for records."""
    from mentormix_tf import backend
    from mentormix_tf.runs import provenance

    return {
        "device": f"{_processor()}, {os.cpu_count()} cores",
        "onednn": backend.uses_onednn(),
        "versions": provenance.versions(),
        "commit": provenance.git_revision(),
        "date": f"{datetime.date.today()}",
    }


def _processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def write(
    path: pathlib.Path, subject: str, found: Iterable[Measurement], about: Mapping[str, Any]
) -> None:
    """Appends measurements to a file, one JSON object a line.

    Args:
        path: the file.
        subject: what they are about.
        found: the measurements.
        about: from `facts`.
    """
    with path.open("a") as file:
        for each in found:
            record = {
                "subject": subject,
                "name": each.name,
                "unit": each.unit,
                "value": each.value,
                "spread": each.spread,
                "samples": list(each.samples),
                **about,
            }
            file.write(json.dumps(record) + "\n")


def read(path: str | pathlib.Path) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Reads a file of measurements; of several with the same name, the last counts.

    Returns:
        The records by (subject, name, unit).

    Raises:
        InputError: it can't be read, or a line is no measurement.
    """
    try:
        lines = pathlib.Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read: {error}.") from error
    found = {}
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            found[record["subject"], record["name"], record["unit"]] = record
            float(record["value"]), list(record["spread"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}, line {number}, is no measurement: {error!r}.") from error
    return found


def table(found: Sequence[Measurement]) -> str:
    """Formats measurements as lines, with quartiles."""
    width = max((len(each.name) for each in found), default=0)
    return "\n".join(
        f"  {each.name:<{width}}  {each.value:>12,.4g} {each.unit}"
        f"  ({each.spread[0]:,.4g} to {each.spread[1]:,.4g})"
        for each in found
    )


def compare(base: Mapping, head: Mapping) -> str:
    """Formats two files of measurements side by side.

    Args:
        base: from `read`.
        head: from `read`, of later code.

    Returns:
        A line for each measurement that both have, with the quotient of the medians; "same" where
        the quartiles overlap.
    """
    lines = [f"{'':<56}{'base':>12}{'head':>12}{'head/base':>11}"]
    devices = {record.get("device") for record in (*base.values(), *head.values())}
    if len(devices) > 1:
        lines.insert(0, f"warning: measured on different devices: {', '.join(map(str, devices))}")
    for key in base:
        if key not in head:
            continue
        one, other = base[key], head[key]
        low, high = (
            max(one["spread"][0], other["spread"][0]),
            min(one["spread"][1], other["spread"][1]),
        )
        quotient = other["value"] / one["value"] if one["value"] else float("nan")
        verdict = "  same" if low <= high else ""
        subject, name, unit = key
        lines.append(
            f"{f'{subject}: {name}, {unit}':<56}{one['value']:>12,.4g}{other['value']:>12,.4g}"
            f"{quotient:>11.3f}{verdict}"
        )
    missing = len(set(base) ^ set(head))
    if missing:
        lines.append(f"{missing} more are in one of the files only.")
    return "\n".join(lines)

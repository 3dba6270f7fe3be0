"""python -m benchmarks: measures speed and memory.

python -m benchmarks step pipeline        # the subjects to measure; all without any
python -m benchmarks compare BASE HEAD    # two files of measurements
"""

import dataclasses
import importlib
import pathlib
import sys

from benchmarks import harness, subjects
from mentormix_tf import backend, command
from mentormix_tf.command import Given, Section
from mentormix_tf.errors import InputError

__all__ = ["Config", "main"]


@dataclasses.dataclass(frozen=True)
class Config:
    """What to measure, and how often.

    Args:
        output: file to which measurements are appended, one JSON object a line; "" for none.
        repetitions: turns of each contender.
        quick: measure as little as possible, to see that everything works.
        torch_python: a Python with PyTorch and torchvision, for the subjects jpeg and others.
    """

    output: str = ""
    repetitions: int = 20
    quick: bool = False
    torch_python: str = ""

    def __post_init__(self) -> None:
        if self.repetitions < 1:
            raise InputError(f"repetitions={self.repetitions} must be at least 1.")


def main(given: Given) -> None:
    """Measures subjects, or compares two files of measurements."""
    if given.arguments[:1] == ["compare"]:
        if len(given.arguments) != 3:
            raise InputError("compare takes two files: python -m benchmarks compare BASE HEAD.")
        print(harness.compare(*map(harness.read, given.arguments[1:])))
        return
    config = given.config(Config)
    for name in given.arguments:
        if name not in subjects.SUBJECTS:
            known = ", ".join(subjects.SUBJECTS)
            raise InputError(f"{name} is not a subject: choose some of {known}, or compare.")
    repetitions = 1 if config.quick else config.repetitions
    size = harness.Size(repetitions, config.quick, config.torch_python)
    backend.load()
    about = harness.facts()
    print(f"{about['device']}, {'with' if about['onednn'] else 'without'} oneDNN")
    for name in given.arguments or subjects.SUBJECTS:
        print(f"{name}: {subjects.SUBJECTS[name]}", flush=True)
        found = importlib.import_module(f"benchmarks.subjects.{name}").measure(size)
        print(harness.table(found), flush=True)
        if config.output:
            harness.write(pathlib.Path(config.output), name, found, about)


if __name__ == "__main__":
    sections = [Section("Measuring", Config)]
    sys.exit(command.run(main, "Measures speed and memory.", sections, arguments="SUBJECT..."))

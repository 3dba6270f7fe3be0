"""From the start of the command to its help, to a mistake that it finds, and to its first step.

The default run: MentorMix on digits. Each is a process of its own.
"""

import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

from benchmarks.harness import Measurement, Size
from mentormix_tf.data import splits

__all__ = ["measure"]

# Ends the process when the first step is done, and says how long each part before it took.
FIRST_STEP = """
import json, os, sys, time
began = float(sys.argv.pop(1))
parts = {}
def done(name):
    parts[name] = time.time() - began
from mentormix_tf import backend, train
done("the command's own imports")
backend.load()
done("TensorFlow imported")
from mentormix_tf.rounds import comparison
from mentormix_tf.training import loop
done("all imports")
whole = loop.Loop.run
def run(self, batches):
    done("data, network and pipelines")
    make = self.model.make_training_loop
    def made():
        advance = make()
        def first(iterator):
            logs, waited = advance(iterator)
            float(logs["loss"])
            done("first step")
            print(json.dumps(parts), flush=True)
            os._exit(0)
        return first
    self.model.make_training_loop = made
    return whole(self, batches)
loop.Loop.run = run
sys.exit(train.main(sys.argv[1:]))
"""


def _timed(command):
    """Wall and processor time of a process, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, processor, done.stdout


def measure(size: Size) -> list[Measurement]:
    """Measures each command some times."""
    splits.load_split("digits")
    train = [sys.executable, "-m", "mentormix_tf.train"]
    commands = {
        "import tensorflow, alone": [sys.executable, "-c", "import tensorflow"],
        "--help": [*train, "--help"],
        "--print_config": [*train, "--print_config"],
        "--noise_level=3": [*train, "--noise_level=3"],
    }
    found = {}

    def add(name, value):
        found.setdefault(name, []).append(value)

    for _ in range(max(1, size.repetitions // 5)):
        for name, command in commands.items():
            wall, processor, _ = _timed(command)
            add(f"{name} wall", wall)
            add(f"{name} processor", processor)
        with tempfile.TemporaryDirectory() as folder:
            model_dir = f"--model_dir={pathlib.Path(folder) / 'run'}"
            command = [sys.executable, "-c", FIRST_STEP, str(time.time()), model_dir]
            _, processor, printed = _timed(command)
        parts = json.loads(printed.splitlines()[-1])
        for name, seconds in parts.items():
            add(f"train: {name}", seconds)
        add("train: first step processor", processor)
    return [Measurement(name, "s", samples) for name, samples in found.items()]

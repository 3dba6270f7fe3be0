"""The benchmarks: that each subject runs, and the arithmetic of what they record."""

import json
import subprocess
import sys
import time

import pytest

from benchmarks import harness, subjects
from benchmarks.harness import Child, Measurement
from mentormix_tf import InputError

COMMAND = [sys.executable, "-m", "benchmarks"]


def run(*arguments):
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True)


def test_contenders_take_turns_and_the_first_turn_does_not_count():
    turns = []
    made = {name: lambda n=name: turns.append(n) for name in "AB"}
    times = harness.alternate(made, 3)
    assert "".join(turns) == "AB" + 3 * "AB"
    assert {len(each.wall) for each in times.values()} == {3}
    assert all(value >= 0 for each in times.values() for value in each.wall + each.processor)


def test_a_contender_that_computes_takes_processor_time_and_one_that_sleeps_does_not():
    def computing():
        until = time.process_time() + 0.02
        while time.process_time() < until:
            pass

    times = harness.alternate({"computes": computing, "sleeps": lambda: time.sleep(0.02)}, 3)
    assert min(times["computes"].processor) >= 0.02
    assert max(times["sleeps"].processor) < 0.02 <= min(times["sleeps"].wall)


def test_a_child_says_how_long_it_took():
    code = "import sys\nprint('ready', flush=True)\nfor _ in sys.stdin: print(0.25, flush=True)"
    child = Child([sys.executable, "-c", code])
    times = harness.alternate({"child": child}, 2)
    child.close()
    assert child.ready == "ready" and all(0.25 <= t < 0.3 for t in times["child"].processor)
    with pytest.raises(InputError, match="ended early"):
        Child([sys.executable, "-c", "pass"])


def test_measurements_have_medians_quartiles_and_ratios():
    times = {"A": harness.Times([2, 4, 8], [1, 1, 1]), "B": harness.Times([4, 4, 4], [3, 2, 1])}
    found = {(m.name, m.unit): m for m in harness.summary(times, "net", items=8)}
    assert found["net/A wall", "images/s"].samples == [4, 2, 1]
    assert found["net/A wall", "images/s"].value == 2
    ratio = found["net/B wall", "of the time of A"]
    assert ratio.samples == [2, 1, 0.5] and ratio.value == 1 and ratio.spread == (0.75, 1.5)
    assert ("net/A wall", "of the time of A") not in found


def test_records_are_read_back_and_compared(tmp_path):
    base, head = tmp_path / "base.jsonl", tmp_path / "head.jsonl"
    about = {"device": "a CPU", "commit": "abc"}
    both = Measurement("both", "s", [1.0, 1.1, 1.2])
    harness.write(base, "step", [both, Measurement("faster", "s", [2.0, 2.0])], about)
    harness.write(head, "step", [both, Measurement("faster", "s", [1.0, 1.0])], about)
    harness.write(head, "step", [Measurement("new", "s", [1.0])], about)
    record = harness.read(base)["step", "both", "s"]
    assert record["value"] == 1.1 and record["commit"] == "abc" and record["samples"][2] == 1.2
    same, faster, note = harness.compare(harness.read(base), harness.read(head)).splitlines()[1:]
    assert same.split()[-2:] == ["1.000", "same"] and faster.split()[-1] == "0.500"
    assert note == "1 more are in one of the files only."
    harness.write(head, "step", [both], {"device": "another"})
    assert "different devices" in harness.compare(harness.read(base), harness.read(head))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], "nope is not a subject"),
        (["--repetitions=0"], "repetitions=0 must be at least 1"),
        (["compare", "a.jsonl"], "compare takes two files"),
        (["compare", "missing.jsonl", "missing.jsonl"], "missing.jsonl can't be read"),
        (["compare", __file__, __file__], "line 1, is no measurement"),
    ],
)
def test_mistakes(arguments, message):
    done = run(*arguments)
    assert done.returncode == 1 and message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("subject", subjects.SUBJECTS)
def test_each_subject_runs(subject, tmp_path):
    file = tmp_path / "found.jsonl"
    done = run(subject, "--quick", f"--output={file}")
    assert done.returncode == 0, done.stderr
    if subject == "others":  # needs PyTorch
        assert "left out" in done.stdout and not harness.read(file)
        return
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert lines and all(line["subject"] == subject and line["value"] > 0 for line in lines)
    assert {"device", "versions", "commit", "date"} <= lines[0].keys()

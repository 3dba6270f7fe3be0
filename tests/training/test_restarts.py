"""Many restarts, clocks that go back, data that moves, and commands that are killed."""

import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.support import commands

ROOT = pathlib.Path(__file__).parents[2]
# A run that is extended equals a longer one only if nothing depends on the number of steps.
SHORT = ["--method=vanilla", "--schedule=constant", "--batch_size=64", "--eval_every=2"]


def train(folder, data_dir, steps, *flags):
    words = [f"--model_dir={folder}", f"--data_dir={data_dir}", f"--train_steps={steps}"]
    return ["train", "--dataset=digits", *words, *SHORT, *flags]


def rows(folder):
    """The rows of metrics.csv without measured times."""
    lines = (folder / "metrics.csv").read_text().splitlines()
    names = lines[0].split(",")
    timed = [names.index(name) for name in ("images_per_second", "input_wait")]
    return [[c for i, c in enumerate(line.split(",")) if i not in timed] for line in lines]


def count(folder, pattern):
    return len(list(folder.glob(pattern)))


@pytest.mark.slow
def test_fifty_restarts_leave_no_more_than_one(tmp_path, data_dir):
    often, once = tmp_path / "often", tmp_path / "once"
    restarts = [train(often, data_dir, 2 * i) for i in range(1, 51)]
    for status, _, error in commands.run(*restarts, train(once, data_dir, 100), cwd=tmp_path):
        assert status == 0, error
    assert rows(often) == rows(once)
    assert {path.name for path in often.iterdir()} == {path.name for path in once.iterdir()}
    assert count(often, "checkpoints/*.index") == count(once, "checkpoints/*.index") == 3
    assert count(often, "checkpoints/*") == count(once, "checkpoints/*")
    assert count(often, "tensorboard/*") <= 2 * 50
    assert not count(often, "**/*partial*")


@pytest.mark.slow
def test_restarts_in_one_process_close_their_files(tmp_path, data_dir):
    from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
    from mentormix_tf.training.run import run

    def restart(steps):
        training = TrainingConfig(batch_size=64, train_steps=steps, eval_every=2)
        config = RunConfig(DataConfig(data_dir=data_dir), training, "vanilla", {})
        run(config, OutputConfig(model_dir=str(tmp_path / "run")))
        return len(os.listdir("/proc/self/fd"))

    opened = [restart(2 * i) for i in range(1, 5)]
    assert opened[-1] <= opened[1] + 2


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [3600, 366 * 24 * 3600])
def test_a_clock_that_goes_back_changes_nothing(tmp_path, data_dir, seconds):
    shifted, plain = tmp_path / "shifted", tmp_path / "plain"
    restarts = [train(shifted, data_dir, 4), train(shifted, data_dir, 8)]
    back = f"import time; now = time.time; time.time = lambda: now() - {seconds}\n"
    (tmp_path / "sitecustomize.py").write_text(back)
    for command, is_back in zip(restarts, (False, True), strict=True):
        path = f"{ROOT}:{tmp_path}" if is_back else str(ROOT)
        subprocess.run(
            [sys.executable, "-m", f"mentormix_tf.{command[0]}", *command[1:]],
            env={**os.environ, "PYTHONPATH": path},
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
    ((status, _, error),) = commands.run(train(plain, data_dir, 8), cwd=tmp_path)
    assert status == 0, error
    assert rows(shifted) == rows(plain)
    assert count(shifted, "checkpoints/step-8.index") == 1


@pytest.mark.slow
def test_data_that_has_moved(tmp_path, data_dir):
    moved, plain, data = tmp_path / "moved", tmp_path / "plain", tmp_path / "data"
    first, all_at_once = train(moved, data, 4), train(plain, data_dir, 8)
    for status, _, error in commands.run(first, all_at_once, cwd=tmp_path):
        assert status == 0, error
    data.rename(tmp_path / "elsewhere")
    done = commands.run(train(moved, tmp_path / "elsewhere", 8), cwd=tmp_path)
    assert done[0][0] == 0 and rows(moved) == rows(plain)
    shutil.rmtree(tmp_path / "elsewhere")
    other = train(moved, tmp_path / "elsewhere", 12, "--noise_seed=1")
    ((status, _, error),) = commands.run(other, cwd=tmp_path)
    assert status == 1 and "noise_seed=0, but this run has noise_seed=1" in error


@pytest.mark.slow
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_comparison_goes_on(tmp_path, data_dir, signal_number):
    command = train(tmp_path / "runs", data_dir, 40, "--method=mentormix", "--compare=vanilla")
    words = [sys.executable, "-m", "mentormix_tf.train", *command[1:]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            words,
            env=environment,
            cwd=tmp_path,
            stdout=log,
            stderr=log,
            # A job in the background of a shell ignores SIGINT, and so would its child.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        second = tmp_path / "runs" / "mentormix" / "metrics.csv"
        for _ in range(1200):
            if second.exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        process.send_signal(signal_number)
        assert process.wait(timeout=60) in (130, -signal.SIGINT, -signal.SIGKILL)
    assert "Traceback" not in (tmp_path / "log").read_text()
    ((status, output, error),) = commands.run(command, cwd=tmp_path)
    assert status == 0 and "mentormix" in output, error
    assert json.loads((tmp_path / "runs/vanilla/result.json").read_text())["steps"] == 40


KILLED = """
import itertools, os, signal, sys
numbers = itertools.count()
def dies_at(number):
    def hook(event, arguments):
        watched = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree")
        if event in watched and any("{folder}" in str(each) for each in arguments):
            if next(numbers) == number:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)
dies_at(int(os.environ["DIES_AT"]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["export", "evaluate"])
def test_killed_between_file_operations(digits_run, tmp_path, name):
    """After each kill, the same command works, and no half result is taken for whole."""
    run, written = tmp_path / "run", {"export": "export", "evaluate": "evaluation"}[name]
    shutil.copytree(digits_run.path, run)
    shutil.rmtree(run / written, ignore_errors=True)
    (tmp_path / "sitecustomize.py").write_text(KILLED.replace("{folder}", f"{run}/{written}"))
    words = [sys.executable, "-m", f"mentormix_tf.{name}", f"--model_dir={run}"]
    for number in itertools.count():
        environment = {"PYTHONPATH": f"{ROOT}:{tmp_path}", "DIES_AT": str(number)}
        killed = subprocess.run(
            words, env={**os.environ, **environment}, cwd=tmp_path, capture_output=True, text=True
        )
        if killed.returncode == 0 or number == 6:
            break
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        whole = list((run / written).glob("[0-9]*")) if name == "export" else []
        assert all((path / "assets" / "class_names.txt").exists() for path in whole)
    assert number > 1
    ((status, _, error),) = commands.run([name, f"--model_dir={run}"], cwd=tmp_path)
    assert status == 0, error
    assert not list(run.rglob("*partial*"))

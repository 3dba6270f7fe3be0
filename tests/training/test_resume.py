"""Interrupted runs, which resume as if they had not been interrupted."""

import fcntl
import json
import logging
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.training.run import run
from tests.training.killed_run import left

ROOT = pathlib.Path(__file__).parent.parent.parent


def config(data_dir, hyperparameters=None, data=None, **training):
    training = {"train_steps": 12, "eval_every": 4, "batch_size": 32, **training}
    return RunConfig(
        data=DataConfig(data_dir=data_dir, **{"validation_fraction": 0.1, **(data or {})}),
        training=TrainingConfig(**training),
        method="bootstrap",
        hyperparameters=hyperparameters or {},
    )


@pytest.fixture
def train(data_dir):
    """Trains as `config` says, into a folder."""

    def train(path, output=None, **settings):
        return run(config(data_dir, **settings), OutputConfig(str(path), **(output or {})))

    return train


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data_dir):
    path = tmp_path_factory.mktemp("run")
    run(config(data_dir), OutputConfig(str(path)))
    return path


@pytest.fixture
def copy(finished, tmp_path):
    """The folder of a run that was interrupted before it wrote its result."""
    path = tmp_path / "copy"
    path.mkdir()
    for file in finished.rglob("*"):
        target = path / file.relative_to(finished)
        target.mkdir() if file.is_dir() else target.write_bytes(file.read_bytes())
    (path / "result.json").unlink()
    return path


@pytest.fixture
def messages(caplog):
    """A function from a log level to the messages that the package logged at that level."""
    caplog.set_level(logging.INFO, logger="mentormix_tf")

    def at(level):
        records = [r for r in caplog.records if r.name.startswith("mentormix_tf")]
        return [record.getMessage() for record in records if record.levelno == level]

    return at


@pytest.mark.parametrize(
    ("method", "replicas", "kills"),
    [
        ("s_model", 1, 3),
        pytest.param("mentormix", 2, 2, marks=pytest.mark.slow),
        *(
            pytest.param(method, replicas, 20, marks=pytest.mark.slow)
            for method in ("mentormix", "s_model", "data_parameters")
            for replicas in (1, 2)
        ),
    ],
)
def test_killed_runs_end_as_those_left_in_peace(tmp_path, data_dir, method, replicas, kills):
    arguments = [data_dir, str(tmp_path), method, str(replicas), str(kills), "0"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.killed_run", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"{method}: {kills} kills" in done.stdout


@pytest.mark.slow
def test_devices_may_change_on_the_way(tmp_path, data_dir, digits):
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.changed_strategy", data_dir, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_checkpoints_that_are_kept(finished):
    names = {path.name for path in (finished / "checkpoints").glob("*.index")}
    assert names == {"step-4.index", "step-8.index", "step-12.index"}
    assert len(list((finished / "checkpoints" / "best").glob("*.index"))) == 1
    rows, _, values = left(finished)
    best = max(rows, key=lambda row: float(row["validation_accuracy"]))
    assert {name for part, name, _ in values if part == "best"} == {f"step-{best['step']}"}


def test_a_finished_run_is_not_run_again(finished, train):
    before = {file: file.read_bytes() for file in finished.rglob("*") if file.is_file()}
    assert train(finished) == json.loads((finished / "result.json").read_text())
    assert before == {file: file.read_bytes() for file in finished.rglob("*") if file.is_file()}


def test_more_steps(copy, finished, train):
    rows, _, _ = left(finished)
    assert train(copy, train_steps=16)["steps"] == 16
    more, _, _ = left(copy)
    assert more[:3] == rows and [row["step"] for row in more] == ["4", "8", "12", "16"]
    before = {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}
    with pytest.raises(InputError, match="train_steps=8 is less than the 16 steps that are done"):
        train(copy, train_steps=8)
    assert before == {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}


@pytest.mark.slow
def test_restarts_keep_as_many_checkpoints_and_delete_nothing_else(copy, train):
    folder = copy / "checkpoints"
    own = {folder / "step-notes.txt", folder / "step-best.index", folder / "step-4-backup" / "a"}
    cut = {
        folder / "step-14.data-00000-of-00001",  # saves that were killed half-way
        folder / "step-8.index.tempstate123",
        folder / "step-14_temp" / "part-00000-of-00001.data-00000-of-00001",
    }
    for path in own | cut:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    for steps in (16, 20):
        train(copy, train_steps=steps)
    there = {path for path in folder.rglob("*") if path.is_file()} - own
    kept = {f"step-{step}" for step in (12, 16, 20)}
    assert {path.name.split(".")[0] for path in there if path.parent == folder} == {
        *kept,
        "checkpoint",
    }
    assert not there & cut
    assert all(path.read_text() == "mine" for path in own)
    assert len(list((folder / "best").glob("*.index"))) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.2}, "learning_rate=0.1, but this run has learning_rate=0.2"),
        ({"hyperparameters": {"beta": 0.5}}, "with no beta, but this run has beta=0.5"),
        ({"data": {"noise_level": 0.2}}, "noise_level=0.4, but this run has noise_level=0.2"),
        ({"seed": 1}, "seed=0, but this run has seed=1"),
        ({"output": {"resume": "never"}}, "is not empty, and resume=never"),
        ({"output": {"checkpoint_every": 3}, "steps_per_execution": 2}, "checkpoint_every=3 must"),
    ],
)
def test_what_may_not_change(copy, train, change, message):
    before = {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}
    with pytest.raises(InputError, match=message):
        train(copy, **change)
    assert before == {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}


def test_another_split_of_the_same_name(copy, train):
    facts = json.loads((copy / "model.json").read_text())
    (copy / "model.json").write_text(json.dumps({**facts, "split_sha256": "0"}))
    with pytest.raises(InputError, match="holds a run on other labels"):
        train(copy)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path):
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 1
    path.write_bytes(contents)


INDEX, DATA = "step-12.index", "step-12.data-00000-of-00001"


@pytest.mark.parametrize(
    ("damage", "file"),
    [
        (truncate, INDEX),
        (flip_a_bit, DATA),
        pytest.param(truncate, DATA, marks=pytest.mark.slow),
        pytest.param(pathlib.Path.unlink, DATA, marks=pytest.mark.slow),
    ],
)
def test_a_damaged_checkpoint_makes_way_for_the_one_before(
    copy, finished, train, messages, damage, file
):
    damage(copy / "checkpoints" / file)
    train(copy)
    [warning] = messages(logging.WARNING)
    assert re.search(r"step-12 can't be read \(.*\): trying the checkpoint before it", warning)
    assert "Continuing from step 8 of 12" in messages(logging.INFO)
    before, after = left(finished), left(copy)
    assert before[:2] == after[:2]
    for name, value in before[2].items():
        np.testing.assert_array_equal(value, after[2][name], str(name))


@pytest.mark.slow
def test_a_run_whose_checkpoints_are_all_damaged_starts_anew(copy, finished, train, messages):
    for file in (copy / "checkpoints").glob("*.data*"):
        flip_a_bit(file)
    train(copy)
    warnings = messages(logging.WARNING)
    assert len(warnings) == 3 and all("before it" in warning for warning in warnings)
    assert not any("Continuing" in message for message in messages(logging.INFO))
    assert left(finished)[0] == left(copy)[0]


@pytest.mark.parametrize("contents", ["", pytest.param(None, marks=pytest.mark.slow)])
def test_the_list_of_checkpoints_may_be_lost(copy, train, messages, contents):
    state = copy / "checkpoints" / "checkpoint"
    state.unlink() if contents is None else state.write_text(contents)
    assert train(copy)["steps"] == 12
    assert "Continuing from step 12 of 12" in messages(logging.INFO)
    assert len(list((copy / "checkpoints").glob("*.index"))) == 3


@pytest.mark.slow
def test_a_full_disk_loses_nothing(copy, finished, train, monkeypatch):
    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    before = left(finished)[2]
    monkeypatch.setattr(tf.train.CheckpointManager, "save", full)
    message = "of step 16 can't be written to .* .No space left on device.: .* from step 12"
    with pytest.raises(InputError, match=message):
        train(copy, train_steps=16)
    monkeypatch.undo()
    assert train(copy)["steps"] == 12
    for name, value in before.items():
        np.testing.assert_array_equal(value, left(copy)[2][name])


def test_a_full_disk_while_telling(tmp_path, train, monkeypatch):
    def full(*_, **__):
        raise tf.errors.OutOfRangeError(None, None, "No space left on device")

    monkeypatch.setattr(tf.summary, "scalar", full)
    with pytest.raises(InputError, match="tensorboard can't be written: No space left on device"):
        train(tmp_path)


@pytest.mark.slow
def test_a_bad_loss_leaves_the_last_good_checkpoint(tmp_path, train):
    with pytest.raises(InputError, match=r"became .* at step \d+: .* no step was saved"):
        train(tmp_path, learning_rate=1e30)
    with pytest.raises(InputError, match=r"became .* step [12] is kept"):
        # The first step of a warm-up has a rate of 0.
        train(tmp_path / "kept", {"checkpoint_every": 1}, learning_rate=1e30, warmup_steps=11)
    latest = tf.train.load_checkpoint(tf.train.latest_checkpoint(tmp_path / "kept" / "checkpoints"))
    names = [name for name in latest.get_variable_to_shape_map() if name.startswith("network/")]
    assert names and all(np.isfinite(latest.get_tensor(name)).all() for name in names)


def test_two_processes_in_one_folder(copy, train):
    descriptor = os.open(copy, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(InputError, match="is being written by another process"):
            train(copy)
    finally:
        os.close(descriptor)


@pytest.mark.slow
def test_sigterm_saves_and_asks_to_be_started_again(tmp_path, data_dir, digits):
    flags = [f"--data_dir={data_dir}", f"--model_dir={tmp_path}/run", "--train_steps=1000000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mentormix_tf.train", *flags, "--eval_every=50", "--method=vanilla"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 100
        while not (tmp_path / "run" / "metrics.csv").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143
    assert "Stopped after step" in errors and "Traceback" not in errors
    step = int(errors.split("Stopped after step ")[1].split(",")[0])
    assert (tmp_path / "run" / "checkpoints" / f"step-{step}.index").exists()

"""What Weights & Biases and MLflow have of a run, read back from what they keep offline."""

import collections
import csv
import importlib
import json
import logging
import pathlib
import subprocess
import sys
import types

import pytest

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig, OutputConfig, RoundsConfig, RunConfig, TrainingConfig
from mentormix_tf.errors import Preempted
from mentormix_tf.rounds.run import run as run_with_rounds
from mentormix_tf.runs.run_folder import RunFolder
from mentormix_tf.training import trackers
from mentormix_tf.training.run import run
from mentormix_tf.training.tensorboard import tag
from tests.support import wandb_file

ROOT = pathlib.Path(__file__).parent.parent.parent
# A program that trains, and kills itself when it has evaluated but not saved step 8.
KILLED = """
import os, signal, sys, tensorflow as tf
from mentormix_tf.config import OutputConfig
from tests.training.test_trackers import config
from mentormix_tf.training.run import run
save = tf.train.CheckpointManager.save
def save_or_die(self, checkpoint_number):
    if checkpoint_number == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return save(self, checkpoint_number=checkpoint_number)
tf.train.CheckpointManager.save = save_or_die
data_dir, path, tracker = sys.argv[1:]
run(config(data_dir), OutputConfig(path, tracker=tracker))
"""


def config(data_dir, **settings):
    training = TrainingConfig(train_steps=12, eval_every=4, batch_size=32)
    return RunConfig(DataConfig(data_dir=data_dir), training, "vanilla", **settings)


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """MLflow, which keeps its runs in tmp_path."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}/mlruns")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return pytest.importorskip("mlflow")


@pytest.fixture(params=["wandb", "mlflow"])
def tracker(request, monkeypatch):
    """The name of a tracker, which is offline."""
    if request.param == "mlflow":
        request.getfixturevalue("mlflow")
    else:
        pytest.importorskip("wandb")
        monkeypatch.setenv("WANDB_MODE", "offline")
        monkeypatch.setenv("WANDB_SILENT", "true")
    return request.param


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    return RunFolder(path, config("data"))


def rows(*steps):
    return [{"step": step, "loss": step / 8, "gamma": None, "test_accuracy": 0.5} for step in steps]


def points(*steps):
    """What a tracker should have of `rows`."""
    return {
        (name, step): [value]
        for step in steps
        for name, value in (("train/loss", step / 8), ("test/accuracy", 0.5))
    }


def wandb_files(path):
    importlib.import_module("wandb").teardown()  # which writes what is left
    return sorted(path.glob("wandb/offline-run-*/*.wandb"))


def mlflow_runs():
    client = importlib.import_module("mlflow").MlflowClient()
    found = client.get_experiment_by_name("mentormix_tf")
    return client, client.search_runs([found.experiment_id])


def kept(tracker, path):
    """A tracker's runs: for each id, a dict from (name, step) to all values logged for these."""
    runs = collections.defaultdict(lambda: collections.defaultdict(list))
    if tracker == "wandb":
        for file in wandb_files(path):
            for row in wandb_file.history(file):
                step = row.pop("_step")
                for name in row.keys() - {"_timestamp", "_runtime"}:
                    runs[file.stem.removeprefix("run-")][name, step].append(row[name])
        return runs
    client, found = mlflow_runs()
    for each in found:
        for name in each.data.metrics:
            for point in client.get_metric_history(each.info.run_id, name):
                if "/" in name:  # others are of result.json
                    runs[each.info.run_id][name, point.step].append(point.value)
    return runs


def expected(path):
    """All points of metrics.csv, each once."""
    with (path / "metrics.csv").open() as file:
        table = list(csv.DictReader(file))
    return {
        (tag(column), int(row["step"])): [pytest.approx(float(text))]
        for row in table
        for column, text in row.items()
        if text and column != "step"
    }


@pytest.mark.slow
def test_a_tracker_has_metrics_csv(tracker, tmp_path, data_dir):
    path = tmp_path / "run"
    result = run(config(data_dir), OutputConfig(str(path), tracker=tracker))
    assert result
    (known,) = json.loads((path / "tracker.json").read_text()).values()
    assert kept(tracker, path) == {known["id"]: expected(path)}
    assert len(expected(path)) >= 3 * 8
    assert "tracker" not in (path / "flags.txt").read_text()
    if tracker == "wandb":
        (file,) = wandb_files(path)
        settings, summary = wandb_file.config(file), wandb_file.summary(file)
        assert wandb_file.exit_code(file) == 0
        assert settings["learning_rate"] == 0.1 and settings["dataset"] == "digits"
    else:
        _, (found,) = mlflow_runs()
        settings, summary = found.data.params, found.data.metrics
        assert (found.info.status, found.info.run_name) == ("FINISHED", f"{tmp_path.name}/run")
        assert settings["learning_rate"] == "0.1" and settings["dataset"] == "digits"
    assert summary["final_accuracy"] == result["final_accuracy"]
    assert "seed" not in summary and "versions" not in summary


def test_no_point_is_doubled_or_left_out(tracker, folder):
    """Whatever the checkpoint is that a run resumes from, and when the tracker joins it."""
    with trackers.start(tracker, folder, rows(4, 8)) as first:  # begun without a tracker
        first.write_rows(rows(4, 8, 12))
        first.write_rows(rows(4, 8, 12, 16))
    with trackers.start(tracker, folder, rows(4)) as second:  # the later checkpoints were lost
        for last in (8, 12, 16, 20):
            second.write_rows(rows(*range(4, last + 1, 4)))
        second.finish(rows(4, 8, 12, 16, 20), {"final_accuracy": 0.5, "steps": 20})
    (known,) = json.loads((folder.path / "tracker.json").read_text()).values()
    assert kept(tracker, folder.path) == {known["id"]: points(4, 8, 12, 16, 20)}


def test_settings_that_change_when_a_run_resumes(tracker, folder):
    trackers.start(tracker, folder, rows(4)).__exit__(None, None, None)
    longer = config("elsewhere", hyperparameters={"sharper": 0.25})
    with trackers.start(tracker, RunFolder(folder.path, longer), rows(4)) as again:
        again.write_rows(rows(4, 8))
    assert list(kept(tracker, folder.path).values()) == [points(4, 8)]
    if tracker == "wandb":
        assert wandb_file.config(wandb_files(folder.path)[-1])["data_dir"] == "elsewhere"
    else:
        _, (found,) = mlflow_runs()
        assert found.data.params["data_dir"] == "data"  # can't be changed there
        assert found.data.params["sharper"] == "0.25"


@pytest.mark.parametrize(
    ("error", "status"),
    [(Preempted("after step 4"), "KILLED"), (InputError("The loss became nan"), "FAILED")],
)
def test_how_a_run_ended(tracker, folder, error, status):
    with pytest.raises(type(error)), trackers.start(tracker, folder, rows(4)):
        raise error
    if tracker == "wandb":
        (file,) = wandb_files(folder.path)
        assert wandb_file.exit_code(file) == 1
    else:
        _, (found,) = mlflow_runs()
        assert found.info.status == status
    with trackers.start(tracker, folder, rows(4)) as again:
        if tracker == "mlflow":
            assert mlflow_runs()[1][0].info.status == "RUNNING"
        again.finish(rows(4), {})
    if tracker == "mlflow":
        assert mlflow_runs()[1][0].info.status == "FINISHED"


def test_a_server_that_is_down_ends_no_training(tmp_path, mlflow, data_dir, monkeypatch, caplog):
    log, down = mlflow.MlflowClient.log_batch, {4, 12}

    def log_unless_down(self, run_id, **given):
        steps = {metric.step for metric in given.get("metrics", ())}
        if steps & down:
            down.discard(4)  # it is up again for the later rows, and down when the run ends
            raise mlflow.MlflowException("The server is down.\nDetails")
        return log(self, run_id, **given)

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", log_unless_down)
    caplog.set_level(logging.WARNING, logger="mentormix_tf")
    path = tmp_path / "run"
    result = run(config(data_dir), OutputConfig(str(path), tracker="mlflow"))
    assert result and result["steps"] == 12 and (path / "result.json").exists()
    warning = "tracker=mlflow failed (The server is down): training goes on"
    assert {record.getMessage() for record in caplog.records} == {warning}
    (found,) = kept("mlflow", path).values()
    assert found == {key: value for key, value in expected(path).items() if key[1] < 12}


class Slow:
    """A tracker that fails after a second."""

    def __init__(self, clock):
        self.logged, self.tried, self.ended, self.clock = 0, [], "", clock

    def log(self, points, step):
        self.tried.append(self.clock[0])
        self.clock[0] += 1
        raise OSError("down")

    summarize = log

    def end(self, status):
        self.ended = status


def test_failures_take_at_most_a_tenth_of_the_time(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(trackers.time, "monotonic", lambda: clock[0])
    service = Slow(clock)
    with trackers.Tracker("wandb", service) as tracker:
        for _ in range(50):
            tracker.write_rows(rows(4))
            clock[0] += 0.5
        assert service.tried == [100, 111, 122]
        tracker.write_rows(rows(4), at_once=True)
        assert len(service.tried) == 4
    assert service.ended == "FAILED"


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package(name, tmp_path, data_dir, monkeypatch):
    for stand_in in (None, types.ModuleType(name)):  # the latter as a folder of that name
        if stand_in:
            stand_in.__file__ = None
        monkeypatch.setitem(sys.modules, name, stand_in)
        message = rf"tracker={name} needs the package .*: pip install 'mentormix-tf\[{name}\]'\."
        with pytest.raises(InputError, match=message):
            run(config(data_dir), OutputConfig(str(tmp_path / "run"), tracker=name))
    assert not (tmp_path / "run").exists()


def test_a_tracker_that_can_not_be_used(tmp_path, mlflow, data_dir, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "ftp://nowhere")
    with pytest.raises(InputError, match=r"tracker=mlflow can't be used \(.*\): correct its set"):
        run(config(data_dir), OutputConfig(str(tmp_path / "run"), tracker="mlflow"))
    assert not (tmp_path / "run").exists()


def test_a_run_that_the_tracker_does_not_know(folder, mlflow):
    (folder.path / "tracker.json").write_text(json.dumps({"mlflow": {"id": "0" * 32}}))
    with pytest.raises(InputError, match=r"tracker=mlflow can't be used \(.*0{32}.*\)"):
        trackers.start("mlflow", folder, rows(4))


@pytest.mark.parametrize("text", ["[]", "{", '{"wandb": 1}', '{"wandb": {"id": 2}}'])
def test_a_damaged_tracker_json(text, folder):
    pytest.importorskip("wandb")
    (folder.path / "tracker.json").write_text(text)
    with pytest.raises(InputError, match=r"tracker.json (is not valid JSON|has other contents)"):
        trackers.start("wandb", folder, [])
    assert (folder.path / "tracker.json").read_text() == text


@pytest.mark.slow
def test_a_killed_run(tracker, tmp_path, data_dir, digits, monkeypatch):
    pytest.importorskip("sqlalchemy")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    path = tmp_path / "run"
    words = [sys.executable, "-c", KILLED, data_dir, str(path), tracker]
    assert subprocess.run(words, cwd=ROOT, capture_output=True).returncode == -9
    assert not list((path / "checkpoints").glob("step-8*"))
    run(config(data_dir), OutputConfig(str(path), tracker=tracker))
    (found,) = kept(tracker, path).values()
    assert all(len(values) == 1 for values in found.values())
    steps = {step for _, step in found}
    # W&B keeps what was logged in memory for some seconds, so a kill may lose it.
    assert steps == {4, 8, 12} if tracker == "mlflow" else {12} <= steps <= {4, 8, 12}


@pytest.mark.slow
def test_rounds_are_not_tracked(tracker, tmp_path, data_dir):
    given = config(data_dir, rounds=RoundsConfig("incv", incv_iterations=1))
    run_with_rounds(given, OutputConfig(str(tmp_path / "run"), tracker=tracker))
    (found,) = kept(tracker, tmp_path / "run").values()
    assert found == expected(tmp_path / "run")
    assert len(list(tmp_path.rglob("tracker.json"))) == 1

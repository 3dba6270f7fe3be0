"""A whole run on digits, in this process: what it leaves behind, and what it refuses."""

import csv
import functools
import json
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mentormix_tf import InputError, methods, networks
from mentormix_tf.config import DataConfig, RunConfig, TrainingConfig
from mentormix_tf.training.run import run


@pytest.fixture
def short_run(data_dir):
    return functools.partial(_short_run, data_dir)


def _short_run(data_dir, path, method="mentormix", hyperparameters=None, data=None, **training):
    training = {"train_steps": 20, "eval_every": 10, **training}
    config = RunConfig(
        data=DataConfig(data_dir=data_dir, **(data or {})),
        training=TrainingConfig(**training),
        method=method,
        hyperparameters=hyperparameters or {},
    )
    return run(config, path)


def rows(path):
    with (path / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data_dir):
    path = tmp_path_factory.mktemp("run")
    return path, _short_run(data_dir, path, data={"validation_fraction": 0.2})


def test_result(finished):
    path, result = finished
    assert json.loads((path / "result.json").read_text()) == result
    assert not list(path.glob("*.partial"))
    assert result["method"] == "mentormix" and result["steps"] == 20 and result["seed"] == 0
    assert result["hyperparameters"] == methods.resolve("mentormix", {})
    assert abs(result["realized_noise_rate"] - 0.4) < 1e-3 and len(result["split_sha256"]) == 64
    assert result["versions"]["tensorflow"] == tf.__version__
    assert result["images_per_second"] > 0 and result["device"]
    accuracies = [float(row["test_accuracy"]) for row in rows(path)]
    assert result["peak_accuracy"] == max(accuracies)
    assert result["final_accuracy"] == accuracies[-1]
    assert result["accuracy_drop"] == max(accuracies) - accuracies[-1]


def test_git_revision(finished):
    _, result = finished
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True)
    if head.returncode == 0 and result["git_revision"]:
        assert result["git_revision"].startswith(head.stdout.strip())


def test_metrics(finished):
    path, result = finished
    table = rows(path)
    assert [row["step"] for row in table] == ["10", "20"]
    assert set(table[0]) == {
        "step",
        "learning_rate",
        "images_per_second",
        "loss",
        "accuracy",
        "gamma",
        "mean_v",
        "test_loss",
        "test_accuracy",
        "validation_loss",
        "validation_accuracy",
    }
    assert all(np.isfinite(float(value)) for row in table for value in row.values())
    assert result["best_validation_accuracy"] == max(float(r["validation_accuracy"]) for r in table)


def test_tensorboard_reads_the_same(finished):
    path, _ = finished
    events = EventAccumulator(str(path / "tensorboard")).Reload()
    assert {*events.Tags()["tensors"], "step"} == set(rows(path)[0])
    for name in events.Tags()["tensors"]:
        points = [(e.step, float(tf.make_ndarray(e.tensor_proto))) for e in events.Tensors(name)]
        expected = [(int(row["step"]), float(row[name])) for row in rows(path)]
        np.testing.assert_allclose(points, expected, rtol=1e-5)


def test_same_seed_same_run_and_another_seed_another(tmp_path, finished, short_run):
    def numbers(path):
        return [{k: v for k, v in r.items() if k != "images_per_second"} for r in rows(path)]

    for name, seed in [("again", 0), ("other", 1)]:
        short_run(tmp_path / name, data={"validation_fraction": 0.2}, seed=seed)
    assert numbers(tmp_path / "again") == numbers(finished[0])
    assert numbers(tmp_path / "other") != numbers(finished[0])


@pytest.mark.slow
def test_jit_learns_the_same(tmp_path, short_run):
    for name in ("false", "true"):
        # Few and small steps: rounding grows along a run.
        short_run(tmp_path / name, jit_compile=name, train_steps=3, learning_rate=1e-3)
    [plain], [jit] = rows(tmp_path / "false"), rows(tmp_path / "true")
    for name in ("loss", "gamma", "mean_v"):
        np.testing.assert_allclose(float(plain[name]), float(jit[name]), rtol=1e-4)


def test_vanilla_has_no_gamma(tmp_path, short_run):
    short_run(tmp_path, method="vanilla")
    assert "gamma" not in rows(tmp_path)[0]


def test_fewer_steps_than_an_evaluation_takes(tmp_path, short_run):
    assert short_run(tmp_path, train_steps=3, eval_every=100)["steps"] == 3


def test_a_used_folder_is_refused_and_left_alone(finished, short_run):
    path, _ = finished
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with pytest.raises(InputError, match=r"model_dir=.* holds another run's flags.txt"):
        short_run(path)
    assert before == {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_folder_that_cannot_be_made(tmp_path, short_run):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"model_dir=.*file/run can't be written"):
        short_run(tmp_path / "file" / "run")


def test_diverging_loss_stops_the_run(tmp_path, short_run):
    with pytest.raises(InputError, match=r"loss became (nan|inf) at step \d+: .*learning rate"):
        short_run(tmp_path, learning_rate=1e30)
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"train_steps": 25}, "train_steps=25 must be a multiple of eval_every=10"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"seed": -1}, "seed=-1"),
        ({"steps_per_execution": 3}, "eval_every=10 must be a multiple of steps_per_execution=3"),
        ({"precision": "float16"}, "precision=float16 needs its loss scaled, .*bfloat16"),
        ({"precision": "int8"}, "precision=int8 is unknown: choose float32 or bfloat16"),
        ({"network": "big_cnn"}, "network=big_cnn is unknown"),
        ({"batch_size": 5000}, "batch_size=5000 is larger than the training data"),
        ({"method": "mentor"}, "method=mentor is unknown"),
        ({"hyperparameters": {"gamma_p": 1.5}}, r"gamma_p=1.5 must lie in \[0, 1\]"),
    ],
)
def test_bad_settings_leave_nothing_behind(tmp_path, change, message, short_run):
    with pytest.raises(InputError, match=message):
        short_run(tmp_path / "new", **change)
    assert not (tmp_path / "new").exists()


def test_bfloat16(tmp_path, short_run, monkeypatch):
    built = []
    build = networks.build

    def spy(*arguments):
        built.append(build(*arguments))
        return built[-1]

    monkeypatch.setattr(networks, "build", spy)
    assert short_run(tmp_path, train_steps=3, precision="bfloat16")["precision"] == "bfloat16"
    [network] = built
    assert network.layers[-1].compute_dtype == "bfloat16"
    assert {weight.dtype for weight in network.trainable_weights} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"

"""A complete run on digits, in this process: the files that it writes, the settings it refuses."""

import csv
import functools
import json
import logging
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mentormix_tf import InputError, methods, networks
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.training.run import run
from mentormix_tf.training.tensorboard import tag

KINDS = ("clean", "wrong")
OTHER_TAGS = {
    "flags",
    "_hparams_/session_start_info",
    "mixed",
    "confusion_matrix",
    *(f"loss_of_training_examples/{name}" for name in KINDS),
}


@pytest.fixture
def short_run(data_dir):
    return functools.partial(_short_run, data_dir)


def _short_run(
    data_dir, path, method="mentormix", hyperparameters=None, data=None, output=None, **training
):
    training = {"train_steps": 20, "eval_every": 10, **training}
    config = RunConfig(
        data=DataConfig(data_dir=data_dir, **(data or {})),
        training=TrainingConfig(**training),
        method=method,
        hyperparameters=hyperparameters or {},
    )
    return run(config, OutputConfig(model_dir=str(path), **(output or {})))


def rows(path):
    with (path / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_console_lines_and_folder(tmp_path, short_run, caplog):
    caplog.set_level(logging.INFO, logger="mentormix_tf.training")
    short_run(tmp_path)
    lines = [record.getMessage() for record in caplog.records if record.name.endswith(".report")]
    assert [line.split("  ")[0] for line in lines] == ["step 10/20", "step 20/20"]
    last = rows(tmp_path)[-1]
    assert f"test accuracy {float(last['test_accuracy']):.3f}" in lines[-1]
    assert f"memorized {float(last['train_wrong_accuracy']):.3f}" in lines[-1]
    assert {path.name for path in tmp_path.iterdir()} == {
        *("flags.txt", "model.json", "metrics.csv", "result.json", "checkpoints", "tensorboard"),
        *("confusion_matrix.csv", "confusion_matrix.png"),
    }


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
        "input_wait",
        "loss",
        "accuracy",
        "loss_before_mixing",
        "gamma",
        "lambda",
        "mean_v",
        "mean_v_clean",
        "mean_v_wrong",
        "v_precision",
        "v_recall",
        "train_clean_accuracy",
        "train_wrong_accuracy",
        "train_wrong_true_accuracy",
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
    columns = [name for name in rows(path)[0] if name != "step"]
    assert {tag(name) for name in columns} | OTHER_TAGS == {*events.Tags()["tensors"]}
    for name in columns:
        points = [
            (e.step, float(tf.make_ndarray(e.tensor_proto))) for e in events.Tensors(tag(name))
        ]
        expected = [(int(row["step"]), float(row[name])) for row in rows(path)]
        np.testing.assert_allclose(points, expected, rtol=1e-5)


def test_tensorboard_shows_losses_pictures_and_settings(finished):
    path, _ = finished
    events = EventAccumulator(str(path / "tensorboard")).Reload()

    def arrays(name):
        return [tf.make_ndarray(event.tensor_proto) for event in events.Tensors(name)]

    # Buckets of (from, to, count): each of the 1,150 training examples is in one.
    counts = [arrays(f"loss_of_training_examples/{name}")[-1][:, 2].sum() for name in KINDS]
    assert sum(counts) == 1150 and abs(counts[1] / 1150 - 0.4) < 0.03
    for name in ("mixed", "confusion_matrix"):
        width, height, png = arrays(name)[-1]
        pixels = tf.io.decode_png(png).numpy()
        assert pixels.shape == (int(height), int(width), 3) and pixels.std() > 10
    assert "| gamma_p | 0.6 |" in arrays("flags")[0].item().decode()
    settings = events.SummaryMetadata("_hparams_/session_start_info").plugin_data
    assert b"gamma_p" in settings.content


@pytest.mark.slow
def test_nothing_is_said_of_what_there_is_none_of(tmp_path, short_run):
    short_run(tmp_path, data={"noise_level": 0.0}, train_steps=5, method="mentornet")
    [row] = rows(tmp_path)
    assert float(row["v_precision"]) == 1.0 and row["mean_v_wrong"] == ""
    assert float(row["train_clean_accuracy"]) > 0 and row["train_wrong_accuracy"] == ""


@pytest.mark.slow
def test_where_the_truth_is_unknown(tmp_path, short_run, photos):
    data = {"dataset": f"folder:{photos}", "validation_fraction": 0.5}
    small = dict(train_steps=2, batch_size=8, image_size=8)
    result = short_run(tmp_path, data=data, method="mentornet", **small)
    [row] = rows(tmp_path)
    assert result["realized_noise_rate"] is None
    assert "mean_v" in row and not {"mean_v_clean", "v_recall", "train_wrong_accuracy"} & set(row)


def test_confusion_matrix(finished):
    path, result = finished
    with (path / "confusion_matrix.csv").open() as file:
        names, *table = csv.reader(file)
    counts = np.array([row[1:] for row in table], int)
    assert names[1:] == [row[0] for row in table] == [str(i) for i in range(10)]
    assert counts.sum() == 360
    assert abs(counts.trace() / 360 - result["final_accuracy"]) < 1e-6
    accuracies = counts.diagonal() / counts.sum(axis=1)
    np.testing.assert_allclose(list(result["class_accuracies"].values()), accuracies)
    assert (path / "confusion_matrix.png").read_bytes().startswith(b"\x89PNG")


def test_profile(tmp_path, short_run):
    short_run(tmp_path, output={"profile_steps": (2, 3)}, method="vanilla", train_steps=5)
    assert list((tmp_path / "tensorboard").rglob("*.xplane.pb"))


@pytest.mark.slow
def test_same_seed_same_run_and_another_seed_another(tmp_path, finished, short_run):
    def numbers(path):
        times = ("images_per_second", "input_wait")
        return [{k: v for k, v in r.items() if k not in times} for r in rows(path)]

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


def test_fewer_steps_than_an_evaluation_takes(tmp_path, short_run):
    assert short_run(tmp_path, train_steps=3, eval_every=100, method="vanilla")["steps"] == 3


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path, short_run):
    (tmp_path / "metrics.csv").write_text("precious")
    with pytest.raises(InputError, match=r"model_dir=.* holds another run's metrics.csv"):
        short_run(tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_folder_that_cannot_be_made(tmp_path, short_run):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"model_dir=.*file/run can't be made"):
        short_run(tmp_path / "file" / "run")


@pytest.mark.slow
def test_diverging_loss_stops_the_run(tmp_path, short_run):
    with pytest.raises(InputError, match=r"(loss|Weights) became .* at step \d+: .*learning rate"):
        short_run(tmp_path, learning_rate=1e30)
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch_size=0 must lie in"),
        ({"train_steps": 25}, "train_steps=25 must be a multiple of eval_every=10"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"seed": -1}, "seed=-1"),
        ({"steps_per_execution": 3}, "eval_every=10 must be a multiple of steps_per_execution=3"),
        ({"precision": "float16"}, "precision=float16 needs loss scaling, .*bfloat16"),
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


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(9), "10 classes need a transition matrix of 10 x 10"),
        (np.ones([10, 10]), "must have rows of probabilities that sum to 1"),
        (np.ones(10), "has as many columns as rows"),
    ],
)
def test_what_is_no_transition_matrix_leaves_nothing_behind(tmp_path, short_run, matrix, message):
    np.savetxt(tmp_path / "matrix.csv", matrix, delimiter=",")
    hyperparameters = {"transition_matrix": str(tmp_path / "matrix.csv")}
    with pytest.raises(InputError, match=rf"^transition_matrix=\S+matrix.csv .*{message}"):
        short_run(tmp_path / "new", "forward", hyperparameters)
    assert not (tmp_path / "new").exists()


def test_the_oracle_knows_the_labels_that_each_class_got(tmp_path, short_run):
    data = {"noise": "asymmetric", "noise_level": 0.3}
    short_run(tmp_path, "forward", {"transition_matrix": "oracle"}, data, train_steps=2)
    assert "--transition_matrix=oracle" in (tmp_path / "flags.txt").read_text().splitlines()
    [checkpoint] = (tmp_path / "checkpoints").glob("*.index")
    reader = tf.train.load_checkpoint(str(checkpoint.with_suffix("")))
    found = [n for n, s in reader.get_variable_to_shape_map().items() if s == [10, 10]]
    matrices = [reader.get_tensor(name) for name in found]
    expected = 0.7 * np.eye(10) + 0.3 * np.roll(np.eye(10), 1, axis=1)
    assert any(np.allclose(matrix, expected, atol=0.005) for matrix in matrices)


def test_there_is_no_oracle_where_the_truth_is_unknown(tmp_path, short_run, photos):
    data, small = {"dataset": f"folder:{photos}"}, dict(train_steps=2, batch_size=8, image_size=8)
    with pytest.raises(InputError, match="transition_matrix=oracle needs the true labels, which"):
        short_run(tmp_path / "new", "forward", {"transition_matrix": "oracle"}, data, **small)
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_bfloat16(tmp_path, short_run, monkeypatch):
    built = []
    build = networks.build

    def spy(*arguments):
        built.append(build(*arguments))
        return built[-1]

    monkeypatch.setattr(networks, "build", spy)
    assert (
        short_run(tmp_path, "vanilla", train_steps=3, precision="bfloat16")["precision"]
        == "bfloat16"
    )
    [network] = built
    assert network.layers[-1].compute_dtype == "bfloat16"
    assert {weight.dtype for weight in network.trainable_weights} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"

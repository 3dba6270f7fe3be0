"""Reading a run back: the config and weights that were written, or an error of one sentence."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig, RunConfig, TrainingConfig
from mentormix_tf.runs import flags_txt, saved_run


def test_flags_give_the_config_again(tmp_path):
    config = RunConfig(
        DataConfig(dataset="cifar10", noise="none", noise_level=None, data_dir="a=b"),
        TrainingConfig(pretrained=True, learning_rate=1e-05, ema_decay=0.999, warmup_steps=3),
        "mentormix",
        {"second_reweight": True, "alpha": 0.5, "mentor": "threshold"},
    )
    lines = [f"--{name}={value}\n" for name, value in config.flags().items()]
    (tmp_path / "flags.txt").write_text("".join(lines))
    assert flags_txt.read(tmp_path / "flags.txt") == config


def test_each_kind_of_weights_computes_as_the_model_did(digits_run):
    model, images = digits_run.model, digits_run.images
    with model.averaged():
        averaged = model.network(images)
    last = model.network(images)
    assert not np.allclose(last, averaged)
    for weights, expected in [
        ("auto", averaged),
        ("averaged", averaged),
        ("last", last),
        ("best", last),  # the only checkpoint is the best, too
    ]:
        trained = saved_run.load_network(digits_run.run, weights)
        np.testing.assert_allclose(trained.network(images), expected, atol=1e-5)
        assert trained.step == 20
        assert trained.weights == ("averaged" if weights == "auto" else weights)


def test_without_average_auto_is_last_in_float32(photos_run):
    assert photos_run.trained.weights == "last"
    assert photos_run.run.config.training.precision == "bfloat16"
    assert photos_run.trained.network.compute_dtype == "float32"
    logits = photos_run.trained.network(photos_run.images)
    assert logits.dtype == tf.float32
    in_bfloat16 = tf.cast(photos_run.model.network(photos_run.images), tf.float32)
    np.testing.assert_allclose(logits, in_bfloat16, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("best", "weights=best: the run in .* had no validation split"),
        ("averaged", "weights=averaged: the run in .* kept no average"),
        ("first", "weights=first is unknown: choose one of auto, last, best, averaged"),
    ],
)
def test_weights_that_a_run_has_not(photos_run, weights, message):
    with pytest.raises(InputError, match=message):
        saved_run.load_network(photos_run.run, weights)


def test_folders_that_are_no_run(digits_run, tmp_path):
    with pytest.raises(InputError, match=r"model_dir=.*nowhere does not exist"):
        saved_run.read(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"is not a run's folder: no flags.txt.$"):
        saved_run.read(tmp_path)
    with pytest.raises(InputError, match=r"no flags.txt: name one of its runs, digits"):
        saved_run.read(digits_run.path.parent)


def test_damaged_runs(digits_run, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(digits_run.path, path)
    (path / "model.json").write_text("{")
    with pytest.raises(InputError, match=r"model.json is not valid JSON"):
        saved_run.read(path)
    (path / "model.json").unlink()
    with pytest.raises(InputError, match=r"is not a run's folder: no model.json"):
        saved_run.read(path)
    shutil.copy(digits_run.path / "model.json", path)
    flags = (path / "flags.txt").read_text()
    (path / "flags.txt").write_text(flags.replace("network=small_cnn", "network=resnet32_thin"))
    with pytest.raises(InputError, match="can't be read as this run's weights"):
        saved_run.load_network(saved_run.read(path))
    (path / "flags.txt").write_text(flags.replace("batch_size=128", "batch_size=many"))
    with pytest.raises(InputError, match=r"flags.txt can't be read as a run's flags"):
        saved_run.read(path)
    (path / "flags.txt").write_text(flags)
    [weights] = (path / "checkpoints").glob("*.data*")
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match="can't be read as this run's weights"):
        saved_run.load_network(saved_run.read(path))
    shutil.rmtree(path / "checkpoints")
    with pytest.raises(InputError, match="has no checkpoint yet"):
        saved_run.load_network(saved_run.read(path), "last")


def test_a_file_is_no_run(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"model_dir=.*file is not a folder: name a run's folder"):
        saved_run.read(tmp_path / "file")

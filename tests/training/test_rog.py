"""Runs with --inference=rog: what they end with is what is evaluated, exported and served."""

import csv
import json

import numpy as np
import pytest

import mentormix_tf as mm
from mentormix_tf import InputError
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.data import pipeline, splits
from mentormix_tf.inference import rog as heads
from mentormix_tf.inference.survey import survey
from mentormix_tf.runs import saved_run
from mentormix_tf.serving import evaluation, saved_model
from mentormix_tf.training import rog
from mentormix_tf.training.run import run

LAYERS = ("convolution", "penultimate")


def config(data_dir, data=None, **training):
    training = {"train_steps": 40, "eval_every": 20, "inference": "rog", **training}
    return RunConfig(
        data=DataConfig(data_dir=data_dir, validation_fraction=0.1, **(data or {})),
        training=TrainingConfig(**training),
        method="vanilla",
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data_dir):
    path = tmp_path_factory.mktemp("rog") / "run"
    given = config(data_dir, rog_layers=LAYERS, ema_decay=0.9)
    return path, run(given, OutputConfig(str(path)))


def rows(path):
    with (path / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_the_result_is_of_the_network_that_the_run_ends_with(finished):
    path, result = finished
    opened = mm.open_run(path)
    for weights, name in [("last", "final"), ("averaged", "averaged_final")]:
        accuracy = opened.evaluate(weights=weights).report["accuracy"]
        assert accuracy == pytest.approx(result[f"{name}_accuracy"], abs=1e-6)
    held_out = opened.evaluate("validation", weights="last").report["accuracy"]
    assert held_out == pytest.approx(result["final_validation_accuracy"], abs=1e-6)
    curve = [float(row["test_accuracy"]) for row in rows(path)]
    assert result["softmax_final_accuracy"] == curve[-1] != result["final_accuracy"]
    assert result["peak_accuracy"] == max(*curve, result["final_accuracy"])
    with (path / "confusion_matrix.csv").open() as file:
        matrix = np.array([row[1:] for row in csv.reader(file)][1:], int)
    assert matrix.trace() / matrix.sum() == pytest.approx(result["final_accuracy"])


def test_each_kind_of_weights_has_heads_on_its_own_features(finished):
    path, _ = finished
    saved = saved_run.read(path)
    data = splits.prepare(saved.config.data)
    shown = dict(augmentation=saved.augmentation, image_shape=saved.image_shape)
    batches = list(pipeline.eval_batches(data, "train", 100, columns=("image", "label"), **shown))
    count = data.num_examples("train")
    labels = np.concatenate([batch["label"] for batch in batches])[:count]
    for weights in ("last", "averaged", "best"):
        own = saved_run.load_network(saved, weights, own_softmax=True).network
        found = survey(own, (batch["image"] for batch in batches), count, LAYERS)
        expected = heads.fit(found, labels, LAYERS)
        network = saved_run.load_network(saved, weights).network
        for head in expected:
            kernel, bias = network.get_layer(f"rog_{head.layer}").get_weights()
            np.testing.assert_allclose(kernel, head.kernel, rtol=1e-5)
            np.testing.assert_allclose(bias, head.bias, rtol=1e-5)


@pytest.mark.slow
def test_the_exported_model_is_the_evaluated_one(finished, tmp_path):
    path, _ = finished
    opened = mm.open_run(path)
    folder = opened.export(tmp_path / "export")
    loaded = saved_model.load(folder)
    exported = evaluation.evaluate(loaded, output_dir=tmp_path / "evaluation")
    np.testing.assert_allclose(
        exported.predictions.confidence, opened.evaluate().predictions.confidence, rtol=1e-4
    )
    card = (folder / "assets" / "model_card.md").read_text()
    assert "Classes: by robust Gaussians of its convolution and penultimate features" in card
    accuracy = opened.result["averaged_final_accuracy"]
    assert f"Test accuracy (clean labels): {accuracy:.4f}" in card


def test_an_audit_judges_by_the_trained_network(finished):
    path, _ = finished
    report = mm.open_run(path).audit("penultimate")
    network = saved_run.load_network(saved_run.read(path), own_softmax=True).network
    assert report.features is not None and report.features.shape[1] == 128
    assert network.layers[-1].name != "rog_penultimate"


@pytest.mark.slow
def test_a_run_that_was_killed_before_its_heads_were_fitted_ends_the_same(
    data_dir, tmp_path, monkeypatch, finished
):
    _, result = finished
    given, output = config(data_dir, rog_layers=LAYERS, ema_decay=0.9), OutputConfig(str(tmp_path))

    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rog, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            run(given, output)
    with pytest.raises(InputError, match=r"rog.npz is not there yet"):
        mm.open_run(tmp_path).evaluate()
    again = run(given, output)
    speed = ("images_per_second", "git_revision")
    assert {k: v for k, v in again.items() if k not in speed} == {
        k: v for k, v in result.items() if k not in speed
    }
    assert json.loads((tmp_path / "result.json").read_text()) == again


@pytest.mark.slow
def test_a_head_on_cached_features_has_rog_as_well(data_dir, tmp_path):
    given = config(data_dir, train_layers="head", rog_layers=("penultimate",))
    result = run(given, OutputConfig(str(tmp_path)))
    evaluated = mm.open_run(tmp_path).evaluate()
    assert evaluated.report["accuracy"] == pytest.approx(result["final_accuracy"], abs=1e-6)


def test_what_can_not_be_fitted_is_refused_before_training(data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(heads.features, "has", lambda network, layer: False)
    with pytest.raises(InputError, match=r"rog_layers=convolution: .*leave out --inference=rog"):
        run(config(data_dir), OutputConfig(str(tmp_path / "new")))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("layers", [(), ("convolution", "convolution")])
def test_layers_that_make_no_sense(layers):
    with pytest.raises(InputError, match=r"rog_layers=.* must be one or two different layers"):
        TrainingConfig(rog_layers=layers)

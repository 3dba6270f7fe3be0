"""Evaluations as a library call: the numbers of a report, and the predictions behind it."""

import json

import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError
from mentormix_tf.data import splits
from mentormix_tf.serving import evaluation, saved_model


@pytest.fixture(scope="module")
def evaluated(digits_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated")
    return evaluation.evaluate(digits_run.run, weights="last", output_dir=folder)


def test_predictions_are_the_networks(digits_run, evaluated):
    logits = digits_run.model.network(digits_run.images).numpy().astype(np.float64)
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    found, label = evaluated.predictions, digits_run.label
    np.testing.assert_array_equal(found.label, label)
    np.testing.assert_array_equal(found.true_label, label)  # test labels are clean
    assert set(found.is_clean) == {1}
    np.testing.assert_array_equal(found.predicted, logits.argmax(axis=1))
    np.testing.assert_allclose(found.confidence, np.exp(log_probabilities.max(axis=1)), rtol=1e-4)
    np.testing.assert_allclose(found.loss, -log_probabilities[range(360), label], atol=1e-4)
    assert found.loss.dtype == found.confidence.dtype == np.float32
    assert len(set(found.id)) == 360


def test_the_files_hold_what_is_returned(digits_run, evaluated):
    assert json.loads((evaluated.folder / "evaluation.json").read_text()) == evaluated.report
    assert evaluated.report["weights"] == "last" and evaluated.report["num_examples"] == 360
    expected = np.mean(evaluated.predictions.predicted == digits_run.label)
    assert evaluated.report["accuracy"] == expected
    assert evaluated.confusion_matrix.trace() == round(360 * expected)
    assert f"top-1 accuracy              {expected:.4f}\n" in evaluated.table()
    assert {path.name for path in evaluated.folder.iterdir()} == {
        *("evaluation.json", "confusion_matrix.csv", "confusion_matrix.png"),
    }


def test_training_evaluates_to_the_same(digits_run, evaluated):
    """Training evaluates decoded batches by logits, `evaluate` stored images by probabilities."""
    from mentormix_tf.training.evaluation import Evaluation

    data, run = splits.prepare(digits_run.data_config), digits_run.run
    shown = dict(augmentation=run.augmentation, image_shape=run.image_shape)
    trained = Evaluation(digits_run.model, data, 128, **shown).test()
    for name in ("label", "true_label", "is_clean", "predicted", "rank"):
        np.testing.assert_array_equal(getattr(trained, name), getattr(evaluated.predictions, name))
    for name in ("confidence", "loss"):
        there = getattr(evaluated.predictions, name)
        np.testing.assert_allclose(getattr(trained, name), there, atol=1e-4)
    assert trained.id is None


def test_true_labels_are_compared_with(digits_run, tmp_path):
    noisy, true = (
        evaluation.evaluate(
            digits_run.run, split="train", true_labels=true_labels, output_dir=tmp_path / name
        ).predictions
        for name, true_labels in (("noisy", False), ("true", True))
    )
    np.testing.assert_array_equal(true.label, noisy.true_label)
    np.testing.assert_array_equal(noisy.is_clean == 1, noisy.label == noisy.true_label)
    assert noisy.accuracy(of="true_label") == true.accuracy() != noisy.accuracy()


def test_a_saved_model_has_one_set_of_weights(digits_run, tmp_path):
    loaded = saved_model.load(digits_run.export)
    with pytest.raises(
        InputError, match="weights=last can't be chosen: a SavedModel holds one set"
    ):
        evaluation.evaluate(loaded, weights="last", output_dir=tmp_path)
    found = evaluation.evaluate(loaded, output_dir=tmp_path)
    assert found.report["saved_model"] == str(digits_run.export)
    with digits_run.model.averaged():
        expected = tf.argmax(digits_run.model.network(digits_run.images), axis=1)
    np.testing.assert_array_equal(found.predictions.predicted, expected)


def test_another_evaluation_is_not_replaced(digits_run, evaluated):
    before = (evaluated.folder / "evaluation.json").read_text()
    with pytest.raises(InputError, match=r"output_dir=.* holds another evaluation.json"):
        evaluation.evaluate(digits_run.run, weights="best", output_dir=evaluated.folder)
    assert (evaluated.folder / "evaluation.json").read_text() == before

"""The transition matrix of a confusion matrix, and runs that start with it."""

import numpy as np
import pytest

import mentormix_tf as mm
from mentormix_tf import InputError
from mentormix_tf.config import DataConfig, OutputConfig, RoundsConfig, RunConfig, TrainingConfig
from mentormix_tf.inference.survey import Survey
from mentormix_tf.rounds import confusion, opinion
from mentormix_tf.rounds import run as rounds

TRUE = np.array([[0.7, 0.2, 0.1], [0.0, 0.9, 0.1], [0.3, 0.3, 0.4]])


def config(data_dir, method="s_model", **hyperparameters):
    return RunConfig(
        DataConfig(data_dir=data_dir, train_examples=300),
        TrainingConfig(train_steps=8, eval_every=8, batch_size=16),
        method,
        hyperparameters,
        RoundsConfig("confusion", round_steps=6),
    )


def test_a_network_that_knows_the_true_classes_tells_how_labels_are_made_wrong():
    rng = np.random.default_rng(0)
    classes = rng.integers(3, size=30_000)
    labels = np.array([rng.choice(3, p=TRUE[each]) for each in classes])
    known = opinion.of_survey(Survey(np.eye(3, dtype=np.float32)[classes]), labels)
    estimate = confusion.transition_matrix(known.confusion)
    np.testing.assert_allclose(estimate, TRUE, atol=0.015)


def test_a_class_that_is_never_predicted_keeps_its_label():
    estimate = confusion.transition_matrix(np.array([[3.0, 1.0], [0.0, 0.0]]))
    np.testing.assert_array_equal(estimate, [[0.75, 0.25], [0.0, 1.0]])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["s_model", "forward"])
def test_the_run_starts_with_the_matrix_of_the_round(data_dir, tmp_path, method, monkeypatch):
    path, found = tmp_path / "run", []
    cls = mm.methods.get(method)
    monkeypatch.setattr(
        cls, "_assign", lambda self, matrix: found.append((type(self).__name__, matrix))
    )
    result = rounds.run(config(data_dir, method), OutputConfig(str(path)))
    assert result is not None and result["rounds"] == "confusion"
    assert result["selection_steps"] == 6 and "selection_precision" not in result
    opened = mm.open_run(path / "rounds" / "plain")
    assert opened.config.method == "vanilla" and opened.result["steps"] == 6
    with np.load(path / "rounds" / "plain.npz") as stored:
        expected = stored["confusion"] / stored["confusion"].sum(axis=1, keepdims=True)
    [(_, matrix)] = found
    np.testing.assert_allclose(matrix, expected)
    assert not (path / "rounds" / "selected.csv").exists()


@pytest.mark.parametrize(
    ("method", "hyperparameters", "message"),
    [
        ("vanilla", {}, "which method=vanilla has not: choose s_model or forward"),
        ("forward", {"transition_matrix": "oracle"}, "estimates what transition_matrix=oracle gi"),
    ],
)
def test_methods_that_can_not_use_it(data_dir, tmp_path, method, hyperparameters, message):
    path = tmp_path / "run"
    with pytest.raises(InputError, match=message):
        rounds.run(config(data_dir, method, **hyperparameters), OutputConfig(str(path)))
    assert not path.exists()

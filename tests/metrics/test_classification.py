"""Metrics against values computed by hand and by scikit-learn."""

import io

import numpy as np
import pytest
import sklearn.metrics
from PIL import Image

from mentormix_tf.metrics import classification, plots


@pytest.fixture(scope="module")
def predictions():
    """Labels, and scores of 7 classes that are mostly right; class 6 has no examples."""
    draws = np.random.RandomState(0)
    label = draws.randint(6, size=400)
    scores = draws.rand(400, 7)
    scores[np.arange(400), label] += 0.4
    return label, scores / scores.sum(axis=1, keepdims=True)


def test_top_k_is_that_of_scikit_learn(predictions):
    label, scores = predictions
    rank = classification.label_rank(scores, label)
    for k in range(1, 7):
        expected = sklearn.metrics.top_k_accuracy_score(label, scores, k=k, labels=range(7))
        assert classification.top_k_accuracy(rank, k) == pytest.approx(expected)
    assert classification.top_k_accuracy(rank, 7) == 1.0


def test_rank_agrees_with_argmax_where_scores_are_equal():
    scores, label = np.full([4, 4], 0.25), np.arange(4)
    assert classification.label_rank(scores, label).tolist() == [0, 1, 2, 3]
    top = classification.top_k_accuracy(classification.label_rank(scores, label), 1)
    assert top == classification.accuracy(label, scores.argmax(axis=1)) == 0.25


def test_class_accuracies_are_none_without_examples(predictions):
    label, scores = predictions
    predicted = scores.argmax(axis=1)
    found = classification.class_accuracies(
        classification.confusion_matrix(label, predicted, 7), "abcdefg"
    )
    expected = [np.mean(predicted[label == c] == c) for c in range(6)]
    np.testing.assert_allclose([found[name] for name in "abcdef"], expected)
    assert found["g"] is None


def test_calibration_error_by_hand():
    # Two bins in use: (0.6, 0.667] with accuracy 1/2 and confidence 0.65, and (0.933, 1].
    label, predicted = np.array([0, 1, 2, 3]), np.array([0, 0, 2, 3])
    confidence = np.array([0.64, 0.66, 0.95, 0.97])
    expected = (2 * abs(0.5 - 0.65) + 2 * abs(1 - 0.96)) / 4
    found = classification.expected_calibration_error(label, predicted, confidence)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_calibration_error_at_the_ends_of_the_range(confidence):
    label, predicted = np.zeros(5, int), np.array([0, 0, 0, 1, 1])
    found = classification.expected_calibration_error(label, predicted, np.full(5, confidence))
    assert found == pytest.approx(abs(0.6 - confidence))


def test_calibration_error_is_small_for_honest_confidence():
    draws = np.random.RandomState(0)
    confidence = draws.uniform(0.1, 1.0, 20_000)
    predicted = np.where(draws.rand(20_000) < confidence, 0, 1)
    error = classification.expected_calibration_error(np.zeros(20_000), predicted, confidence)
    assert error < 0.02
    assert (
        classification.expected_calibration_error(np.zeros(20_000), predicted, confidence**3) > 0.15
    )


def test_a_row_of_the_confusion_matrix_is_a_label():
    matrix = classification.confusion_matrix([0, 0, 0, 2], [0, 1, 1, 2], 3)
    assert matrix.tolist() == [[1, 2, 0], [0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("num_classes", [2, 10, 100, 1000])
def test_the_picture_shows_the_matrix(num_classes):
    matrix = 5 * np.eye(num_classes, dtype=int)
    matrix[0] = 0  # a class without examples
    names = [f"class ${i}_$" for i in range(num_classes)]
    figure = plots.draw_confusion_matrix(matrix, names)
    [axes] = [axes for axes in figure.axes if axes.images]
    shown = axes.images[0].get_array()
    np.testing.assert_array_equal(shown, matrix / 5)
    assert len(axes.texts) == (num_classes**2 if num_classes <= 20 else 0)
    assert len(axes.get_xticks()) <= 100
    png = io.BytesIO()
    figure.savefig(png)
    assert max(Image.open(png).size) <= 2500

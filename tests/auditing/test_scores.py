"""Scores of labels, by hand."""

import numpy as np

from mentormix_tf.auditing import scores


def test_training_gives_the_mean_of_both_halves():
    nan = np.nan
    probabilities = np.array(
        [
            [[0.7, 0.2, 0.1], [0.9, 0.0, 0.1]],
            [[0.6, 0.3, 0.1], [nan, nan, nan]],
            [[nan, nan, nan], [nan, nan, nan]],
        ]
    )
    found = scores.of_training({"probabilities": probabilities}, np.array([0, 1, 2]))
    first = [0.25 * 1.5 + 0.5 * 7 / 9, 0.25 * 1.8 + 0.5 * 0.9]
    np.testing.assert_allclose(found, [np.mean(first), 0.25 * 0.7 + 0.5 / 3, nan])


def test_training_without_all_probabilities():
    halves = np.log([[0.9, 0.5], [0.2, np.nan], [np.nan, np.nan]])
    found = scores.of_training({"log_probability": halves}, np.array([0, 1, 1]))
    np.testing.assert_allclose(found, [0.7, 0.2, np.nan])


def test_a_survey_gives_the_probability_of_the_label():
    probabilities = np.array([[0.1, 0.9], [0.7, 0.3]])
    np.testing.assert_array_equal(
        scores.of_predictions(probabilities, np.array([1, 1])), [0.9, 0.3]
    )


def test_features_are_scaled_by_the_median():
    distances = np.array([[1.0, 5.0, 9.0], [6.0, 4.0, 9.0], [1.0, 1.0, 8.0]])
    found = scores.of_features(distances, np.array([0, 0, 0]))
    # Differences 4, -2 and 0, whose median is 2 in absolute value.
    np.testing.assert_allclose(found, [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(1)), 0.5])


def test_quality_is_the_mean_of_what_is_known():
    nan = np.nan
    training, features = np.array([0.2, nan, nan]), np.array([0.6, 0.4, nan])
    np.testing.assert_allclose(scores.combined(training, None, features), [0.4, 0.4, 0.5])
    np.testing.assert_allclose(scores.combined(training, None, None), [0.2, 0.5, 0.5])


def test_self_confidence_stands_in_for_the_training_score():
    training, confidence = np.array([0.2, np.nan]), np.array([0.9, 0.7])
    features = np.array([0.4, 0.3])
    np.testing.assert_allclose(scores.combined(training, confidence, features), [0.3, 0.5])
    np.testing.assert_allclose(scores.combined(training, confidence, None), [0.2, 0.7])
    np.testing.assert_allclose(scores.combined(None, confidence, features), [0.65, 0.5])

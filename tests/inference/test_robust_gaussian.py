"""Robust Gaussians on features whose true classes are known."""

import numpy as np
import pytest
import scipy.spatial.distance

from mentormix_tf.auditing import scores
from mentormix_tf.inference import robust_gaussian

CLASSES, SIZE = 4, 6


@pytest.fixture(scope="module")
def planted():
    """Features of four Gaussians with one covariance, and labels of which 40 % are wrong."""
    random = np.random.RandomState(0)
    means = 6.0 * random.normal(size=(CLASSES, SIZE))
    mixing = random.normal(size=(SIZE, SIZE))
    true = random.randint(CLASSES, size=4000)
    features = means[true] + random.normal(size=(4000, SIZE)) @ mixing.T
    wrong = random.uniform(size=4000) < 0.4
    labels = np.where(wrong, (true + random.randint(1, CLASSES, size=4000)) % CLASSES, true)
    return features, labels, true, means, mixing @ mixing.T


def test_means_are_robust(planted):
    features, labels, _, means, _ = planted
    plain = np.array([features[labels == c].mean(axis=0) for c in range(CLASSES)])
    found = robust_gaussian.fit(features, labels, CLASSES, kept=0.5, refinements=3).means
    scale = np.linalg.norm(means, axis=1)
    assert (np.linalg.norm(found - means, axis=1) < 0.05 * scale).all()
    assert (np.linalg.norm(plain - means, axis=1) > 0.2 * scale).all()


def test_distances_are_those_of_mahalanobis(planted):
    features, labels, *_ = planted
    found = robust_gaussian.fit(features, labels, CLASSES)
    distances = found.squared_distances(features[:7])
    for row, expected in zip(features[:7], distances, strict=True):
        for mean, distance in zip(found.means, expected, strict=True):
            theirs = scipy.spatial.distance.mahalanobis(row, mean, found.precision) ** 2
            np.testing.assert_allclose(distance, theirs, rtol=1e-9)


def test_without_wrong_labels_the_covariance_is_that_of_the_classes(planted):
    features, _, true, _, covariance = planted
    found = robust_gaussian.fit(features, true, CLASSES, kept=1.0)
    np.testing.assert_allclose(np.linalg.inv(found.precision), covariance, rtol=0.2, atol=0.5)


def test_the_score_finds_wrong_labels(planted):
    features, labels, true, *_ = planted
    distances = robust_gaussian.fit(features, labels, CLASSES).squared_distances(features)
    score = scores.of_features(distances, labels)
    assert score[labels == true].mean() > 0.7 > 0.3 > score[labels != true].mean()
    shares = scores.class_shares(distances, labels)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert (shares.argmax(axis=1) == true).mean() > 0.95


def test_wrong_labels_show_with_as_many_features_as_examples():
    """Each example would be near its own mean if the covariance were not shrunk."""
    random = np.random.RandomState(0)
    true = np.repeat([0, 1], 40)
    latent = random.normal(size=(80, 5))
    latent[:, 0] += 8.0 * true
    features = latent @ random.normal(size=(5, 64)) + 0.3 * random.normal(size=(80, 64))
    labels = np.where(np.arange(80) % 10 == 0, 1 - true, true)
    distances = robust_gaussian.fit(features, labels, 2).squared_distances(features)
    score = scores.of_features(distances, labels)
    assert (score[labels != true] < 0.5).all() and (score[labels == true] > 0.5).mean() > 0.95


def test_classes_without_examples_and_more_features_than_examples():
    random = np.random.RandomState(0)
    features, labels = random.normal(size=(6, 20)), np.array([0, 0, 0, 2, 2, 2])
    found = robust_gaussian.fit(features, labels, 3)
    distances = found.squared_distances(features)
    assert np.isinf(distances[:, 1]).all() and np.isfinite(distances[:, [0, 2]]).all()
    assert np.isfinite(scores.of_features(distances, labels)).all()

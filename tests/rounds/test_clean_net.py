"""CleanNet against its formulas in float64 NumPy, and on features whose classes are known."""

import csv

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import mentormix_tf as mm
from mentormix_tf import InputError
from mentormix_tf.config import DataConfig, OutputConfig, RoundsConfig, RunConfig, TrainingConfig
from mentormix_tf.data import examples
from mentormix_tf.rounds import clean_net
from mentormix_tf.rounds import run as rounds


def planted(count, size=64, classes=10, seed=0):
    """Features around the mean of the true class, and labels of which 40 % are wrong.

    Two means are about 12 standard deviations apart, so that features tell the true class.
    """
    random = np.random.RandomState(seed)
    means = random.normal(size=(classes, size)) * 12 / np.sqrt(2 * size)
    true = np.arange(count) % classes
    features = means[true] + random.normal(size=(count, size))
    wrong = random.uniform(size=count) < 0.4
    labels = np.where(wrong, (true + random.randint(1, classes, count)) % classes, true)
    clean = (labels == true).astype(int)
    verified = np.where(random.uniform(size=count) < 0.05, clean, -1)
    return features, labels, verified, clean, means


def test_features_are_standardized_logarithms():
    random = np.random.RandomState(0)
    x = random.normal(size=(200, 4)) ** 3 + [0, 5, -5, 0]
    x[:, 3] = 7.0
    found = clean_net.transformed(x)
    logs = np.where(x > 0, np.log(np.abs(x) + 1), -np.log(np.abs(x) + 1))
    expected = (logs - logs.mean(axis=0))[:, :3] / logs.std(axis=0)[:3]
    np.testing.assert_allclose(found[:, :3], expected, atol=1e-5)
    assert found.dtype == np.float32 and (found[:, 3] == 0).all()


# References and batches.


def test_references_are_centers_of_their_class():
    random = np.random.RandomState(0)
    centers = np.array([[0, 0], [0, 9], [9, 0], [9, 9]]) + 50.0
    near = np.repeat(centers, 25, axis=0) + random.normal(scale=0.1, size=(100, 2))
    few = np.array([[1.0, 1.0], [2.0, 2.0], [1.0, 1.0]])
    features, labels = np.concatenate([near, few]), np.array([0] * 100 + [1] * 3)
    sets, present = clean_net.class_references(features, labels, 2, 4, seed=0)
    assert present.tolist() == [[True] * 4, [True, True, False, False]]
    nearest = np.abs(sets[0][:, None] - centers).max(axis=-1)
    assert sorted(nearest.argmin(axis=1)) == [0, 1, 2, 3] and nearest.min(axis=1).max() < 0.1
    np.testing.assert_allclose(sorted(sets[1, :2].tolist()), [[1, 1], [2, 2]], atol=1e-6)
    assert (sets[1, 2:] == 0).all()


def test_half_a_batch_is_verified_and_classes_are_equally_frequent():
    labels = np.array([0] * 900 + [1] * 90 + [2] * 10)
    verified = np.full(1000, -1)
    verified[[3, 5, 950]] = [1, 0, 0]
    batches = clean_net._batches(labels, verified, steps=500, seed=0)
    assert batches.shape == (500, 64)
    first, others = batches[:, :32], batches[:, 32:]
    assert set(first.ravel()) == {3, 5, 950} and (verified[others] == -1).all()
    shares = np.bincount(labels[others].ravel()) / others.size
    np.testing.assert_allclose(shares, 1 / 3, atol=0.02)
    of_rare = np.bincount(others[labels[others] == 2])[990:]  # as often as expected, each
    assert len(of_rare) == 10 and of_rare.min() > 0.8 * of_rare.mean()
    every = clean_net._batches(labels, np.ones(1000, int), steps=3, seed=0)
    assert every.shape == (3, 32)


# Training.


def test_wrong_labels_are_found_from_a_few_verified_ones():
    """The distances to the true means, which nobody knows, would tell all of them apart."""
    features, labels, verified, clean, means = planted(1437)  # as digits
    distances = ((features[:, None] - means) ** 2).sum(axis=-1)
    own, unseen = distances[np.arange(len(labels)), labels], verified < 0
    assert roc_auc_score(clean[unseen], (distances.min(axis=1) - own)[unseen]) > 0.9999
    found = clean_net.scores(features, labels, verified, 10, steps=300)
    assert found.shape == (1437,) and found.dtype == np.float32 and (abs(found) <= 1).all()
    assert roc_auc_score(clean[unseen], found[unseen]) > 0.98
    weights = clean_net.soft_weights(found)
    np.testing.assert_array_equal(weights, np.maximum(found, 0))
    assert weights[clean == 1].mean() > 2 * weights[clean == 0].mean()


@pytest.mark.slow
def test_it_carries_over_to_classes_without_verified_labels():
    features, labels, verified, clean, _ = planted(3000, size=8, classes=30)
    others = labels >= 24
    verified = np.where(~others & (np.arange(3000) % 4 == 0), clean, -1)
    found = clean_net.scores(features, labels, verified, 30, steps=500)
    assert roc_auc_score(clean[others], found[others]) > 0.8


def test_a_seed_gives_the_same_scores():
    features, labels, verified, _, _ = planted(200)
    one, same, other = (
        clean_net.scores(features, labels, verified, 10, references=4, steps=20, seed=seed)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other, atol=1e-3)


def test_classes_of_a_single_example_and_of_equal_ones():
    features, labels, verified, _, _ = planted(200)
    labels = np.where(labels == 9, 8, labels)
    labels[0], features[labels == 7] = 9, 1.0
    found = clean_net.scores(features, labels, verified, 10, references=4, steps=20)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((1, 1), "7 are verified as right and 0 as wrong: verify more"),
        ((0, 0), "0 are verified as right and 7 as wrong: verify more"),
        ((-1, -1), "0 are verified as right and 0 as wrong: verify more"),
    ],
)
def test_labels_of_both_kinds_must_be_verified(values, message):
    features, labels, verified, _, _ = planted(200)
    verified[:] = -1
    verified[:7] = [values[i % 2] for i in range(7)]
    with pytest.raises(InputError, match=message):
        clean_net.scores(features, labels, verified, 10)


def test_what_else_is_refused():
    features, labels, verified, _, _ = planted(200)
    with pytest.raises(InputError, match="class number 10 has none"):
        clean_net.scores(features, labels, verified, 11)
    features[5, 3] = np.nan
    with pytest.raises(InputError, match="features that are infinite or not a number"):
        clean_net.scores(features, labels, verified, 10)


def config(data_dir, **data):
    return RunConfig(
        DataConfig(data_dir=data_dir, train_examples=300, **data),
        TrainingConfig(train_steps=8, eval_every=8, batch_size=16),
        "vanilla",
        rounds=RoundsConfig("clean_net", 6, clean_net_references=2, clean_net_steps=20),
    )


@pytest.mark.slow
def test_verified_labels_have_weight_one_or_zero(data_dir, tmp_path):
    given, path = config(data_dir, verified_fraction=0.3), tmp_path / "run"
    result = rounds.run(given, OutputConfig(str(path)))
    assert result is not None and result["verified_labels"] == 90
    lines = (path / "rounds" / "selected.csv").read_text().splitlines()[1:]
    weights = np.array([float(row["weight"]) for row in csv.DictReader(lines)])
    data = mm.load_split(data_dir=data_dir, train_examples=300, verified_fraction=0.3)
    verified = examples.columns(data, "train", ["verified"])["verified"]
    np.testing.assert_array_equal(weights[verified == 1], 1.0)
    np.testing.assert_array_equal(weights[verified == 0], 0.0)
    with np.load(path / "rounds" / "scores.npz") as stored:
        scores = stored["values"]
    others = verified < 0
    np.testing.assert_allclose(weights[others], np.maximum(scores[others], 0.0), atol=1e-6)
    assert len(np.unique(weights[others])) > 50
    # Killed before its first step, it goes on with the same scores.
    (path / "result.json").unlink()
    (path / "rounds" / "selected.csv").unlink()
    before = (path / "rounds" / "scores.npz").stat().st_mtime_ns
    assert rounds.run(given, OutputConfig(str(path)))
    assert (path / "rounds" / "scores.npz").stat().st_mtime_ns == before


def test_without_verified_labels_it_is_refused_first(data_dir, tmp_path):
    path = tmp_path / "run"
    with pytest.raises(InputError, match="0 are verified as right and 0 as wrong: verify more"):
        rounds.run(config(data_dir), OutputConfig(str(path)))
    assert not path.exists()


@pytest.mark.slow
def test_scores_that_can_not_be_read(data_dir, tmp_path):
    given, path = config(data_dir, verified_fraction=0.3), tmp_path / "run"
    rounds.run(given, OutputConfig(str(path)))
    (path / "result.json").unlink()
    scores = path / "rounds" / "scores.npz"
    with np.load(scores) as stored:
        known = dict(stored)
    np.savez(scores, **{**known, "verified_sha256": "other"})
    with pytest.raises(InputError, match=r"scores.npz is of other verified labels: restore"):
        rounds.run(given, OutputConfig(str(path)))
    np.savez(scores, **{**known, "values": np.zeros(3)})
    with pytest.raises(InputError, match=r"scores.npz can't be read .*it has 3 values for 300"):
        rounds.run(given, OutputConfig(str(path)))
    scores.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"scores.npz can't be read .*: delete it, and it is made"):
        rounds.run(given, OutputConfig(str(path)))

"""CurriculumNet's subsets against densities counted one by one, and on planted outliers."""

import csv

import numpy as np
import pytest

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig, OutputConfig, RoundsConfig, RunConfig, TrainingConfig
from mentormix_tf.data import examples_file
from mentormix_tf.rounds import curriculum_net
from mentormix_tf.rounds import run as rounds

CORE, MIDDLE, FAR = 0, 1, 2


def counted(features, quantile):
    """Cutoff and densities, from the formula."""
    z = np.asarray(features, np.float64)
    distances = [[np.sqrt(((a - b) ** 2).sum()) for b in z] for a in z]
    ordered = sorted(d for row in distances for d in row)
    cutoff = ordered[int(quantile * len(ordered))]
    # Twice the same pair may differ in the last bit, so what is next to the cutoff is at it.
    return cutoff, [
        sum(d < cutoff and not np.isclose(d, cutoff) for d in row) - 1 for row in distances
    ]


def planted(classes=3, count=240, size=16, seed=0):
    """Classes around centers of their own, and how far from these each example was put."""
    random = np.random.RandomState(seed)
    labels = np.repeat(np.arange(classes), count)
    levels = random.choice(3, len(labels), p=(0.6, 0.25, 0.15))
    directions = random.normal(size=(len(labels), size))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    radius = np.array([1.0, 3.0, 6.0])[levels]
    centers = 5.0 * random.normal(size=(classes, size))
    order = random.permutation(len(labels))
    features = (centers[labels] + radius[:, None] * directions).astype(np.float32)
    return features[order], labels[order], levels[order]


@pytest.mark.parametrize("quantile", [0.0, 0.3, 0.6, 0.95])
def test_densities_are_those_of_the_formula(quantile):
    z = np.random.RandomState(1).standard_t(2, size=(60, 5)).astype(np.float32).astype(np.float64)
    cutoff, expected = counted(z, quantile)
    assert curriculum_net.cutoff(z, quantile) == pytest.approx(cutoff, rel=1e-12)
    found = curriculum_net.densities(z, curriculum_net.cutoff(z, quantile))
    assert found.tolist() == expected
    assert len(set(expected)) > 3 or (set(expected) == {-1} and quantile == 0.0)


def test_blocks_are_as_the_whole():
    z = np.random.RandomState(2).normal(size=(500, 300))
    cutoff = curriculum_net.cutoff(z)
    whole = curriculum_net.densities(z, cutoff)
    with_rows = 3 * 500 * 8 / 2**20  # three rows of distances
    np.testing.assert_array_equal(curriculum_net.densities(z, cutoff, with_rows), whole)


def test_a_sample_of_pairs_decides_in_large_classes(monkeypatch):
    z = np.random.RandomState(3).standard_t(3, size=(700, 8))
    exact = curriculum_net.cutoff(z)
    monkeypatch.setattr(curriculum_net, "_MOST_PAIRS", 700**2 - 1)
    distances = np.linalg.norm(z[:, None] - z, axis=2)
    for quantile in (0.2, 0.6):
        sampled = curriculum_net.cutoff(z, quantile, seed=4)
        # Its standard deviation is at most √(0.25 / 2¹⁸) = 0.00098.
        assert (distances < sampled).mean() == pytest.approx(quantile, abs=0.004)
        assert sampled == curriculum_net.cutoff(z, quantile, seed=4)
        assert sampled != curriculum_net.cutoff(z, quantile, seed=5)
    assert curriculum_net.cutoff(z, seed=4) == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_subsets_follow_the_planted_distances(seed):
    features, labels, levels = planted(seed=seed)
    subsets = curriculum_net.design(features, labels, 3)
    for label in range(3):
        own = labels == label
        assert (subsets[own] == levels[own]).mean() > 0.97
        means = [levels[own & (subsets == each)].mean() for each in (CORE, MIDDLE, FAR)]
        assert means[CORE] < means[MIDDLE] < means[FAR]


def test_each_class_is_for_itself():
    features, labels, _ = planted()
    subsets = curriculum_net.design(features, labels, 3)
    own = labels == 1
    alone = curriculum_net.design(features[own], labels[own], 3)
    np.testing.assert_array_equal(subsets[own], alone)
    scaled = np.where(own[:, None], features, 100 * features)
    np.testing.assert_array_equal(curriculum_net.design(scaled, labels, 3), subsets)


def test_it_repeats_itself():
    features, labels, _ = planted(count=100)
    first = curriculum_net.design(features, labels, 3, seed=1)
    np.testing.assert_array_equal(curriculum_net.design(features, labels, 3, seed=1), first)
    order = np.random.RandomState(0).permutation(len(labels))
    np.testing.assert_array_equal(
        curriculum_net.design(features[order], labels[order], 3, seed=1), first[order]
    )


def test_long_features_keep_what_they_have_of_each_class():
    """Two classes in 30 dimensions each: 32 of their own components suffice, not 32 in common."""
    random = np.random.RandomState(5)
    features, labels, _ = planted(classes=2, size=30)
    axes = [np.linalg.qr(random.normal(size=(90, 30)))[0] for _ in range(2)]
    long = np.stack([axes[label] @ z for z, label in zip(features, labels, strict=True)])
    expected = curriculum_net.design(features, labels, 2)
    found = curriculum_net.design(long.astype(np.float32), labels, 2, most_features=32)
    assert (found == expected).mean() > 0.99
    few = curriculum_net.design(long, labels, 2, most_features=1)
    assert (few != expected).mean() > 0.1


def test_components_of_longer_features_than_examples():
    features, labels, _ = planted(classes=1, count=50, size=300)
    np.testing.assert_array_equal(
        curriculum_net.design(features, labels, 1),
        curriculum_net.design(features, labels, 1, most_features=10_000),
    )


def test_classes_with_little_to_tell_apart():
    random = np.random.RandomState(6)
    same = np.ones((40, 4))
    cross = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [9, 9]], float)
    cross = np.tile(cross, (1, 2))  # six examples with three densities
    few = {0: same, 2: random.normal(size=(1, 4)), 3: random.normal(size=(2, 4)), 4: cross}
    features = np.concatenate(list(few.values())).astype(np.float32)
    labels = np.concatenate([np.full(len(each), label) for label, each in few.items()])
    subsets = curriculum_net.design(features, labels, 6)
    assert not subsets[labels < 4].any()
    assert subsets[labels == 4].tolist() == [0, 1, 1, 1, 1, 2]
    line = np.array([[0.0], [0.1], [0.2], [5.0]])  # densities 2, 2, 2 and 0
    two = curriculum_net.design(line, np.zeros(4, int), 1, density_quantile=0.65)
    assert two.tolist() == [0, 0, 0, 1]
    assert len(curriculum_net.design(np.zeros((0, 4)), np.zeros(0, int), 3)) == 0


def test_what_training_gets(tmp_path):
    subsets = np.array([0, 2, 1, 0])
    weights, starts = curriculum_net.curriculum(subsets)
    assert weights.dtype == np.float32 and weights.tolist() == [1.0, 0.5, 0.5, 1.0]
    assert starts.dtype == np.float64 and starts.tolist() == [0.0, 2 / 3, 1 / 3, 0.0]
    weights, starts = curriculum_net.curriculum(subsets, weights=(2, 0, 1), starts=(0, 0.5, 0.25))
    assert weights.tolist() == [2, 1, 0, 2] and starts.tolist() == [0, 0.25, 0.5, 0]
    # An examples file has room for it.
    path, ids = tmp_path / "w.npz", ["a", "b", "c", "d"]
    np.savez(path, id=np.array(ids), weight=weights, start=starts)
    located = examples_file.located(examples_file.read(str(path)), "", ids)
    np.testing.assert_array_equal(located[0], weights)
    np.testing.assert_array_equal(located[2], starts)


def config(data_dir, batch_size):
    return RunConfig(
        DataConfig(data_dir=data_dir, train_examples=300),
        TrainingConfig(train_steps=9, eval_every=9, batch_size=batch_size),
        "vanilla",
        rounds=RoundsConfig("curriculum_net", round_steps=6),
    )


@pytest.mark.slow
def test_a_run_begins_with_the_clean_subset(data_dir, tmp_path):
    given = config(data_dir, batch_size=16)
    path = tmp_path / "run"
    result = rounds.run(given, OutputConfig(str(path)))
    assert result is not None and result["selection_steps"] == 6
    lines = (path / "rounds" / "selected.csv").read_text().splitlines()[1:]
    rows = list(csv.DictReader(lines))
    starts = np.array([float(row["start"]) for row in rows])
    weights = np.array([float(row["weight"]) for row in rows])
    assert set(starts) == {0.0, 1 / 3, 2 / 3}
    np.testing.assert_array_equal(weights, np.where(starts > 0.0, 0.5, 1.0))
    counts = [int((starts == start).sum()) for start in (0.0, 1 / 3, 2 / 3)]
    assert result["subset_examples"] == counts
    rates, rate = np.array(result["stage_noise_rates"]), result["realized_noise_rate"]
    assert rates @ counts / 300 == pytest.approx(rate)
    right, wrong = (result[f"mean_weight_of_{kind}_labels"] for kind in ("right", "wrong"))
    assert right * (1 - rate) + wrong * rate == pytest.approx(weights.mean())
    again = rounds.run(given, OutputConfig(str(path)))
    assert again == result


def test_too_few_examples_for_a_first_subset(data_dir, tmp_path):
    given = config(data_dir, batch_size=101)
    with pytest.raises(InputError, match="batch_size=101 is too large for rounds=curriculum_net"):
        rounds.run(given, OutputConfig(str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()

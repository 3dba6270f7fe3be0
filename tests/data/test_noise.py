"""Label noise: exact counts, the right distribution, the same labels on every machine."""

import hashlib

import numpy as np
import pytest
from scipy import stats

from mentormix_tf import InputError
from mentormix_tf.data import noise

LABELS = np.random.RandomState(0).randint(10, size=20_000)


@pytest.mark.parametrize("level", [0.0, 0.05, 0.2, 0.4, 0.8, 1.0])
def test_symmetric_flips_exactly_that_many(level):
    noisy = noise.symmetric(LABELS, 10, level, seed=1)
    assert (noisy != LABELS).sum() == round(level * len(LABELS))
    assert noisy.min() >= 0 and noisy.max() < 10


def test_symmetric_flips_to_all_other_classes_equally():
    noisy = noise.symmetric(LABELS, 10, 0.5, seed=2)
    flipped = noisy != LABELS
    steps = np.bincount((noisy - LABELS)[flipped] % 10, minlength=10)
    assert steps[0] == 0 and stats.chisquare(steps[1:]).pvalue > 1e-3
    # Whether an example is flipped depends on neither its class nor its position.
    counts = [np.bincount(LABELS[flipped]), np.bincount(LABELS[~flipped])]
    assert stats.chi2_contingency(counts).pvalue > 1e-3
    halves = [flipped[:10_000].sum(), flipped[10_000:].sum()]
    assert stats.chisquare(halves).pvalue > 1e-3


def test_symmetric_is_a_function_of_its_seed():
    def digest(seed):
        return hashlib.sha256(noise.symmetric(LABELS, 10, 0.4, seed).tobytes()).hexdigest()[:16]

    assert digest(3) == digest(3) != digest(4)
    assert digest(0) == "ffb8d95300986854"  # on every machine, with every version of NumPy


def test_labels_are_left_alone():
    before = LABELS.copy()
    noise.symmetric(LABELS, 10, 0.4, seed=0)
    np.testing.assert_array_equal(LABELS, before)


@pytest.mark.parametrize("level", [-0.1, 1.1, float("nan")])
def test_level_out_of_range(level):
    with pytest.raises(InputError, match=f"noise_level={level}"):
        noise.symmetric(LABELS, 10, level, seed=0)


def test_uniform_may_keep_the_true_class():
    noisy = noise.uniform(LABELS, 10, 0.2, seed=1)
    assert abs((noisy != LABELS).mean() - 0.18) < 0.01
    redrawn = noise.uniform(LABELS, 10, 1.0, seed=1)
    assert stats.chisquare(np.bincount(redrawn)).pvalue > 1e-3


def test_asymmetric_flips_each_class_to_its_next():
    noisy = noise.asymmetric(LABELS, 10, 0.3, seed=1)
    flipped = noisy != LABELS
    np.testing.assert_array_equal(noisy[flipped], (LABELS[flipped] + 1) % 10)
    for label in range(10):
        members = label == LABELS
        assert flipped[members].sum() == round(0.3 * members.sum())


def test_pair_flip_is_to_the_next_class_on_every_data_set():
    elsewhere = np.zeros(10, np.int64)  # what asymmetric noise would turn each class into
    given = noise.NoiseInputs(LABELS, 10, 0.45, seed=1, turns_into=elsewhere)
    noisy = noise.NOISES["pair_flip"].make(given)
    flipped = noisy != LABELS
    np.testing.assert_array_equal(noisy[flipped], (LABELS[flipped] + 1) % 10)
    for label in range(10):
        members = label == LABELS
        assert flipped[members].sum() == round(0.45 * members.sum())
    matrix = 0.55 * np.eye(10) + 0.45 * np.roll(np.eye(10), 1, axis=1)
    np.testing.assert_allclose(noise.transition_matrix(noisy, LABELS, 10), matrix, atol=1e-3)


def test_asymmetric_to_given_classes():
    pairs = np.array([0, 1, 0, 5, 7, 3, 6, 7, 8, 1])
    noisy = noise.asymmetric(LABELS, 10, 0.4, seed=1, turns_into=pairs)
    for label in range(10):
        members = label == LABELS
        expected = {label, pairs[label]}
        assert set(noisy[members]) == expected
    stay = pairs == np.arange(10)
    assert not (noisy != LABELS)[stay[LABELS]].any()


def test_matrix_is_followed(tmp_path):
    matrix = np.random.RandomState(0).dirichlet(np.ones(10), size=10)
    np.savetxt(tmp_path / "matrix.csv", matrix, delimiter=",")
    np.save(tmp_path / "matrix.npy", matrix)
    read = noise.read_matrix(tmp_path / "matrix.npy", 10)
    np.testing.assert_allclose(noise.read_matrix(tmp_path / "matrix.csv", 10), read)
    noisy = noise.from_matrix(LABELS, read, seed=1)
    for label in range(10):
        counts = np.bincount(noisy[label == LABELS], minlength=10)
        assert stats.chisquare(counts, matrix[label] * counts.sum()).pvalue > 1e-4
    found = noise.transition_matrix(noisy, LABELS, 10)
    np.testing.assert_allclose(found, matrix, atol=0.05)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert noise.from_matrix(LABELS, np.eye(10), seed=1).tolist() == LABELS.tolist()


def test_labels_from_files(tmp_path):
    (tmp_path / "a.json").write_text("[1, 2, 0]")
    (tmp_path / "a.csv").write_text("1\n2\n0\n")
    np.save(tmp_path / "a.npy", np.array([1, 2, 0]))
    for suffix in ("json", "csv", "npy"):
        assert noise.read_labels(tmp_path / f"a.{suffix}", 3, 3).tolist() == [1, 2, 0]


def test_transition_matrix_counts_known_labels_only():
    found = noise.transition_matrix(np.array([0, 1, 1, 2]), np.array([0, 0, 1, -1]), 3)
    np.testing.assert_array_equal(found, [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "1\n2\n", "has 2 labels for 3 examples"),
        ("a.csv", "1\n2\n3\n", r"the label 3 at position 2: labels must be integers in \[0, 3\)"),
        ("a.csv", "1\n0.7\n2\n", "the label 0.7 at position 1"),
        ("a.csv", "1\n-1\n2\n", "the label -1 at position 1"),
        ("a.csv", "1\nnan\n2\n", "numbers that are not finite"),
        ("a.csv", "1,2\n0,1\n0,1\n", r"shape \(3, 2\): it needs one label for each"),
        ("a.csv", "", "has 0 labels for 3"),
        ("a.json", "[0.5, 1, 2]", "the label 0.5 at position 0"),
        ("a.json", "[true, false, true]", "does not hold numbers"),
        ("a.json", '["0", "1", "2"]', "does not hold numbers"),
        ("a.json", "null", "does not hold numbers"),
        ("a.json", "{}", "does not hold numbers"),
        ("a.json", "1", r"shape \(\)"),
        ("a.json", "", "can't be read"),
        ("a.json", "[[0], [1, 2]]", "can't be read"),
        ("a.json", "[" * 100_000, "can't be read"),
        ("a.json", "[0, 1, 1e400]", "numbers that are not finite"),
        ("a.json", f"[0, 1, {10**40}]", "does not hold numbers"),
        ("a.npy", "not an array", "can't be read"),
        ("a.csv", "1\ntwo\n3\n", "can't be read"),
        ("a.json", "{", "can't be read"),
        ("a.txt", "1", "must be a .npy, .csv or .json file"),
    ],
)
def test_bad_label_files(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        noise.read_labels(tmp_path / name, 3, 3)


@pytest.mark.parametrize("labels", [[0.7, 1, 2], [1j, 1, 2], [True, False, True], [[0], [3], [1]]])
def test_bad_arrays_of_labels(tmp_path, labels):
    np.save(tmp_path / "a.npy", np.array(labels))
    with pytest.raises(InputError, match="noise_file="):
        noise.read_labels(tmp_path / "a.npy", 3, 3)


def test_a_pickle_is_not_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([print, 1, 2], object), allow_pickle=True)
    with pytest.raises(InputError, match="can't be read"):
        noise.read_labels(tmp_path / "a.npy", 3, 3)
    np.savez(tmp_path / "b.npz", a=np.arange(3))
    (tmp_path / "b.npz").rename(tmp_path / "b.npy")
    with pytest.raises(InputError, match="an archive instead of an array"):
        noise.read_labels(tmp_path / "b.npy", 3, 3)


@pytest.mark.parametrize("labels", [[0, 2, 1], [0.0, 2.0, 1.0], [[0], [2], [1]]])
def test_whole_numbers_of_any_kind_are_labels(tmp_path, labels):
    for dtype in (np.uint8, np.float32, np.int64):
        np.save(tmp_path / "a.npy", np.array(labels, dtype))
        assert noise.read_labels(tmp_path / "a.npy", 3, 3).tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [("1,0\n0,1\n", "3 classes need"), ("1,0,0\n0,1,0\n0,0,2\n", "sum to 1")],
)
def test_bad_matrix_files(tmp_path, matrix, message):
    (tmp_path / "m.csv").write_text(matrix)
    with pytest.raises(InputError, match=message):
        noise.read_matrix(tmp_path / "m.csv", 3)

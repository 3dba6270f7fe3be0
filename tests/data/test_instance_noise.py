"""Noise by what is on the image: the published probabilities; image, label and seed alone."""

import hashlib

import numpy as np
import pytest
import scipy.stats

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig
from mentormix_tf.data import instance_noise, splits, verify
from mentormix_tf.data.instance_noise import instance_dependent

CLASSES = 5


def pictures(count, seed=0, shape=(6, 5, 3)):
    random = np.random.RandomState(seed)
    return list(random.randint(256, size=(count, *shape)).astype(np.uint8))


def labels_of(count, seed=1):
    return np.random.RandomState(seed).randint(CLASSES, size=count)


def oracle(picture, label, level, seed):
    """The probabilities of each label, and the draw among them, for one example."""
    digest = hashlib.sha256(f"{seed} {label} {picture.shape}".encode() + picture.tobytes()).digest()
    first, second = (int.from_bytes(digest[i : i + 8], "little") // 2**11 / 2**53 for i in (0, 8))
    rate = scipy.stats.truncnorm(-level / 0.1, (1 - level) / 0.1, loc=level, scale=0.1).ppf(first)
    matrix = np.random.RandomState([seed, label, 2]).standard_normal((32, 32, 3, CLASSES))
    x = (picture - picture.mean()) / picture.std()
    scores = np.einsum("hwc,hwcj->j", x, matrix[: x.shape[0], : x.shape[1]])
    others = [j for j in range(CLASSES) if j != label]
    exponentials = np.exp(scores[others] - scores[others].max())
    probabilities = np.zeros(CLASSES)
    probabilities[others] = rate * exponentials / exponentials.sum()
    probabilities[label] = 1 - rate
    return probabilities, next(j for j in range(CLASSES) if second < probabilities[: j + 1].sum())


def test_labels_agree_with_the_oracle(monkeypatch):
    shown = pictures(150) + pictures(50, seed=2, shape=(32, 32, 3))
    labels = labels_of(200)
    noisy = instance_dependent(iter(shown), labels, CLASSES, 0.4, seed=3)
    expected = [oracle(p, y, 0.4, 3) for p, y in zip(shown, labels.tolist(), strict=True)]
    np.testing.assert_array_equal(noisy, [label for _, label in expected])
    assert 0.25 < (noisy != labels).mean() < 0.55
    # The same if only a few pictures are in memory at a time.
    monkeypatch.setattr(instance_noise, "_CHUNK", 30)
    monkeypatch.setattr(instance_noise, "_BLOCK", 4)
    np.testing.assert_array_equal(instance_dependent(shown, labels, CLASSES, 0.4, 3), noisy)


@pytest.mark.parametrize("level", [0.05, 0.2, 0.45, 0.95])
def test_the_rate_is_the_mean_of_the_truncated_normal_distribution(level):
    labels = labels_of(4000)
    noisy = instance_dependent(pictures(4000), labels, CLASSES, level, seed=0)
    expected = scipy.stats.truncnorm(-level / 0.1, (1 - level) / 0.1, loc=level, scale=0.1).mean()
    assert abs((noisy != labels).mean() - expected) < 4 * np.sqrt(0.25 / 4000)


def test_pictures_that_look_alike_turn_into_the_same_classes():
    def commonest(shown):
        noisy = instance_dependent(shown, np.zeros(400, int), CLASSES, 0.5, seed=0)
        counts = np.bincount(noisy, minlength=CLASSES)[1:]
        return counts.max() / counts.sum()

    others = pictures(400, shape=(16, 16, 3))
    alike = [np.clip(others[0] + np.int64(p % 5), 0, 255).astype(np.uint8) for p in others]
    assert commonest(alike) > 0.9
    assert commonest(others) < 0.5


def test_only_the_picture_its_label_and_the_seed_count():
    shown, labels = pictures(300), labels_of(300)
    noisy = instance_dependent(shown, labels, CLASSES, 0.4, seed=0)
    order = np.random.RandomState(0).permutation(300)[:100]
    some = instance_dependent([shown[i] for i in order], labels[order], CLASSES, 0.4, seed=0)
    np.testing.assert_array_equal(some, noisy[order])
    assert (instance_dependent(shown, labels, CLASSES, 0.4, seed=1) != noisy).mean() > 0.2
    digest = hashlib.sha256(noisy.tobytes()).hexdigest()
    assert digest.startswith("1f3962b6f11498bb")  # on every machine


def test_gray_walls_are_no_division_by_zero():
    blank = [np.full((4, 4, 3), 7, np.uint8)] * 50
    noisy = instance_dependent(blank, labels_of(50), CLASSES, 0.4, seed=0)
    assert ((noisy >= 0) & (noisy < CLASSES)).all()


def test_no_noise_and_bad_input():
    labels = labels_of(20)
    noisy = instance_dependent(pictures(20), labels, CLASSES, 0.0, seed=0)
    np.testing.assert_array_equal(noisy, labels)
    with pytest.raises(InputError, match=r"noise_level=1\.5 must lie in"):
        instance_dependent(pictures(20), labels, CLASSES, 1.5, seed=0)
    with pytest.raises(InputError, match="needs at least two classes"):
        instance_dependent(pictures(20), np.zeros(20), 1, 0.4, seed=0)


def test_a_split_has_it_and_says_how_much(data_dir):
    split = splits.prepare(DataConfig(data_dir=data_dir, noise="instance", noise_level=0.3))
    train = list(split.builder.as_dataset(split="train").as_numpy_iterator())
    labels, true = (np.array([e[name] for e in train]) for name in ("label", "true_label"))
    gray = [np.repeat(e["image"], 3, axis=-1) for e in train]
    np.testing.assert_array_equal(labels, instance_dependent(gray, true, 10, 0.3, seed=0))
    assert split.manifest["realized_noise_rate"] == np.mean(labels != true)
    assert 0.25 < np.mean(labels != true) < 0.35
    assert not verify.examine(split.builder, split.manifest).problems

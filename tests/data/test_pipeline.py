"""Splits and the batches made of them."""

import itertools

import numpy as np
import pytest

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig
from mentormix_tf.data import pipeline, splits


@pytest.fixture(scope="module")
def digits():
    return splits.make(DataConfig())


def take(batches, count):
    return list(itertools.islice(batches.as_numpy_iterator(), count))


def test_digits_split(digits):
    train, test = digits.train, digits.test
    assert train["image"].shape == (1437, 8, 8, 1) and test["image"].shape == (360, 8, 8, 1)
    assert train["image"].dtype == np.uint8 and train["image"].max() == 255
    assert digits.realized_noise_rate == round(0.4 * 1437) / 1437
    wrong = train["label"] != train["true_label"]
    assert wrong.mean() == digits.realized_noise_rate
    np.testing.assert_array_equal(train["is_clean"], 1 - wrong)
    np.testing.assert_array_equal(test["label"], test["true_label"])
    images = {image.tobytes() for image in train["image"]}
    assert not images & {image.tobytes() for image in test["image"]}
    assert digits.validation is None and len(digits.class_names) == 10


def test_hash_tells_labels_apart(digits):
    assert splits.make(DataConfig()).sha256 == digits.sha256
    assert splits.make(DataConfig(noise_seed=1)).sha256 != digits.sha256
    assert splits.make(DataConfig(noise_level=0.2)).sha256 != digits.sha256


def test_validation_is_cut_from_the_noisy_training_examples(digits):
    cut = splits.make(DataConfig(validation_fraction=0.2))
    assert len(cut.validation["label"]) == round(0.2 * 1437)
    ids = np.concatenate([cut.train["id"], cut.validation["id"]])
    assert sorted(ids) == sorted(digits.train["id"])
    labels = dict(zip(digits.train["id"], digits.train["label"], strict=True))
    assert all(
        labels[i] == label
        for i, label in zip(cut.validation["id"], cut.validation["label"], strict=True)
    )
    assert 0.3 < 1 - cut.validation["is_clean"].mean() < 0.5
    assert cut.sha256 == digits.sha256


def test_an_epoch_sees_each_example_at_most_once(digits):
    numbered = {"label": np.arange(100), "image": np.zeros((100, 2, 2, 1), np.uint8)}
    epochs = [take(pipeline.train_batches(numbered, 8, seed=0), 24)[i : i + 12] for i in (0, 12)]
    orders = [np.concatenate([batch["label"] for batch in epoch]) for epoch in epochs]
    assert all(len(set(order)) == 96 for order in orders)
    assert not np.array_equal(*orders)
    assert np.corrcoef(orders[0], np.arange(96))[0, 1] < 0.3


@pytest.mark.parametrize("start_step", [1, 10, 11, 12, 25])
def test_stream_from_a_step_is_the_tail(digits, start_step):
    whole = take(pipeline.train_batches(digits.train, 128, seed=7), 30)
    tail = take(pipeline.train_batches(digits.train, 128, 7, start_step), 30 - start_step)
    for one, other in zip(whole[start_step:], tail, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_another_seed_is_another_order(digits):
    [one], [other] = (take(pipeline.train_batches(digits.train, 128, seed), 1) for seed in (0, 1))
    assert not np.array_equal(one["label"], other["label"])


def test_batches_have_static_shapes(digits):
    spec = pipeline.train_batches(digits.train, 128, seed=0).element_spec
    assert spec["image"].shape == (128, 8, 8, 1) and spec["image"].dtype == "float32"
    assert spec["label"].shape == (128,) and set(spec) == {
        "image",
        "label",
        "true_label",
        "is_clean",
    }


def test_evaluation_sees_every_example_once_in_order(digits):
    batches = take(pipeline.eval_batches(digits.test, 100), 10)
    assert [len(batch["label"]) for batch in batches] == [100, 100, 100, 60]
    for name in ("label", "image"):
        whole = np.concatenate([batch[name] for batch in batches])
        np.testing.assert_array_equal(whole, digits.test[name])


def test_batch_larger_than_the_data(digits):
    with pytest.raises(InputError, match=r"batch_size=2000 .* 1437 examples"):
        pipeline.train_batches(digits.train, 2000, seed=0)


def test_unknown_data_set():
    with pytest.raises(InputError, match="dataset=cifar11 is unknown: choose one of digits"):
        splits.make(DataConfig(dataset="cifar11"))

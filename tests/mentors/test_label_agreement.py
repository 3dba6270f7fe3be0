"""The share of right labels, estimated while training, against NumPy; and γ_p that follows it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError, methods
from mentormix_tf.mentors import LabelAgreement, ThresholdMentor
from tests.support import oracles


def test_the_average_is_that_of_numpy():
    random = np.random.RandomState(0)
    agreement, means = LabelAgreement(), []
    for step in range(70):
        labels = np.eye(5)[random.randint(5, size=20)].astype(np.float32)
        logits = (labels + random.normal(size=(20, 5))).astype(np.float32)
        means.append(np.mean(labels.argmax(axis=1) == logits.argmax(axis=1)))
        weights = 0.98 ** np.arange(step, -1, -1)
        found = agreement(tf.constant(labels), tf.constant(logits), progress=1.0)
        np.testing.assert_allclose(found, np.average(means, weights=weights), rtol=1e-5)
    assert 0.2 < found < 0.9
    np.testing.assert_array_equal(agreement.average(), found)


def test_a_network_that_has_not_learned_trusts_half_at_first():
    agreement, labels = LabelAgreement(), tf.eye(10)
    never = tf.roll(labels, 1, axis=1)
    for progress in (0.0, 0.25, 0.5, 1.0):
        assert float(agreement(labels, never, progress=progress)) == 0.5 * (1.0 - progress)
    for _ in range(3):
        agreement(labels, labels, progress=0.5)
    average = float(agreement.average())
    assert 0.25 < average < 0.5
    found = [float(agreement.gamma_p(progress)) for progress in (0.0, 0.25, 0.5, 1.0)]
    assert found == [0.5, max(0.375, average), average, average]


def test_a_percentile_for_each_batch():
    random = np.random.RandomState(0)
    mentor, oracle = ThresholdMentor("auto", 0.5), oracles.Mentor(0.0, 0.5, "nearest", burn_in=0.0)
    for gamma_p in (0.2, 0.9, 0.5):
        losses = random.exponential(size=33).astype(np.float32)
        oracle.gamma_p = gamma_p
        v = oracle(losses, progress=1.0)
        np.testing.assert_array_equal(mentor(losses, progress=1.0, gamma_p=gamma_p), v)


def trained(name, train_steps=150, **hyperparameters):
    """A network trained on 40 % wrong labels of classes that are easy to tell apart."""
    random = np.random.RandomState(0)
    keras.utils.set_random_seed(0)
    classes = random.randint(5, size=2000)
    wrong = random.uniform(size=2000) < 0.4
    labels = np.where(wrong, (classes + random.randint(1, 5, size=2000)) % 5, classes)
    images = (np.eye(5)[classes] + 0.1 * random.normal(size=(2000, 5))).astype(np.float32)
    network = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(5)])
    # A class that is not learned while every label is trusted may never be trusted later.
    chosen = {"burn_in": 0.3, **hyperparameters}
    model = methods.build(name, network, 5, 2000, gamma_p="auto", **chosen)
    model.compile(keras.optimizers.SGD(0.5))
    data = tf.data.Dataset.from_tensor_slices((images, labels)).repeat().batch(100)
    model.fit(data, steps_per_epoch=train_steps, verbose=0)
    return model


@pytest.mark.parametrize("name", ["mentornet", "mentormix"])
def test_it_finds_the_share_of_right_labels(name):
    model = trained(name)
    np.testing.assert_allclose(model.agreement.average(), 0.6, atol=0.04)
    assert "gamma_p" in model.watch.means


def test_the_second_weighting_uses_the_same_share():
    model = trained("mentormix", second_reweight=True)
    assert float(tf.convert_to_tensor(model.second_mentor.gamma)) > 0.0
    assert 0.4 < float(model.watch.means["second_mean_v"].result()) < 0.9


def test_a_saved_model_keeps_it(tmp_path):
    model = trained("mentormix", train_steps=5)
    model.save(tmp_path / "model.keras")
    loaded = methods.load_model(tmp_path / "model.keras")
    assert loaded.gamma_p == "auto"
    np.testing.assert_array_equal(loaded.agreement.average(), model.agreement.average())


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        (dict(gamma_p="automatic"), "gamma_p=automatic must be a number or auto"),
        (dict(gamma_p="auto", alpha=0.0), "alpha=0.0 leaves out the first pass"),
    ],
)
def test_what_is_refused(hyperparameters, message):
    network = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(5)])
    with pytest.raises(InputError, match=message):
        methods.build("mentormix", network, 5, 10, **hyperparameters)

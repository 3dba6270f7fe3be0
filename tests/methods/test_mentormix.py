"""MentorMix's steps against an independent float64 oracle, and its invariants."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError, MentorMix, mixing
from mentormix_tf.methods.batch import Batch
from tests.support import oracles

STEPS = 10


def linear_model(images, learning_rate, **hyperparameters):
    network = keras.Sequential(
        [keras.layers.Input(images.shape[2:]), keras.layers.Dense(4, use_bias=False)]
    )
    model = MentorMix(network, num_classes=4, seed=3, **hyperparameters)
    model.compile(keras.optimizers.SGD(learning_rate), run_eagerly=True)
    model.train_steps.assign(STEPS)
    return model


def batches(size):
    random = np.random.RandomState(5)
    images = random.normal(size=(STEPS, size, 7)).astype(np.float32)
    labels = np.eye(4, dtype=np.float32)[random.randint(4, size=(STEPS, size))]
    return images, labels


@pytest.fixture
def draws(monkeypatch):
    """Records what each step draws: raw λ, partners, and the partners' probabilities."""
    recorded = {"lam": [], "partners": [], "probabilities": []}
    sample_beta, sample_partners = mixing.sample_beta, mixing.sample_partners

    def recording_beta(shape, alpha, seed):
        recorded["lam"].append(sample_beta(shape, alpha, seed).numpy())
        return recorded["lam"][-1]

    def recording_partners(probabilities, seed):
        recorded["probabilities"].append(probabilities.numpy())
        recorded["partners"].append(sample_partners(probabilities, seed).numpy())
        return recorded["partners"][-1]

    monkeypatch.setattr(mixing, "sample_beta", recording_beta)
    monkeypatch.setattr(mixing, "sample_partners", recording_partners)
    return recorded


SETTINGS = {
    "cifar10_20": dict(gamma_p=0.8, alpha=2.0),
    "cifar10_40": dict(gamma_p=0.6, alpha=8.0),
    "cifar10_60": dict(gamma_p=0.6, alpha=8.0, second_reweight=True),
    "cifar10_80": dict(gamma_p=0.2, alpha=4.0, second_reweight=True),
    "webvision": dict(gamma_p=0.85, alpha=0.2, percentile_interpolation="linear"),
    "all_v_0": dict(gamma_p=0.0, loss_ema_decay=0.0, alpha=2.0, burn_in=0.0, second_reweight=True),
    "all_v_1": dict(gamma_p=1.0, alpha=2.0, burn_in=1.0),
    "slow_gamma": dict(gamma_p=0.5, alpha=2.0, loss_ema_decay=0.9, burn_in=0.3),
}


@pytest.mark.parametrize(
    ("setting", "size"), [*itertools.product(SETTINGS, [32]), ("cifar10_40", 1), ("all_v_0", 1)]
)
def test_ten_steps_agree_with_the_oracle(setting, size, draws, monkeypatch):
    hyperparameters = {"burn_in": 0.2, **SETTINGS[setting]}
    images, labels = batches(size)
    model = linear_model(images, 0.5, **hyperparameters)
    mentor = [
        hyperparameters["gamma_p"],
        hyperparameters.get("loss_ema_decay", 0.5),
        hyperparameters.get("percentile_interpolation", "nearest"),
        hyperparameters["burn_in"],
    ]
    second = oracles.Mentor(*mentor) if hyperparameters.get("second_reweight") else None
    oracle = oracles.LinearMentorMix(
        model.network.get_weights()[0], 0.5, STEPS, oracles.Mentor(*mentor), second
    )
    shown = []
    mixup = mixing.mixup

    def recording_mixup(values, partners, lam):
        shown.append((lam.numpy(), mixup(values, partners, lam).numpy()))
        return mixup(values, partners, lam)

    monkeypatch.setattr(mixing, "mixup", recording_mixup)
    close = dict(atol=1e-5, rtol=1e-5)
    for step in range(STEPS):
        v, probabilities = oracle.weigh(images[step], labels[step], step)
        model.reset_metrics()
        logs = model.train_step((images[step], labels[step]))
        np.testing.assert_allclose(draws["probabilities"][step], probabilities, **close)
        lam, mixed_images, mixed_labels = oracle.mix(
            images[step], labels[step], v, draws["lam"][step], draws["partners"][step]
        )
        np.testing.assert_allclose(shown[2 * step][0], lam, **close)
        np.testing.assert_allclose(shown[2 * step][1], mixed_images, **close)
        np.testing.assert_allclose(shown[2 * step + 1][1], mixed_labels, **close)
        loss = oracle.learn(mixed_images, mixed_labels, step)
        np.testing.assert_allclose(logs["loss"], loss, **close)
        np.testing.assert_allclose(logs["gamma"], oracle.mentor.gamma, **close)
        np.testing.assert_allclose(logs["mean_v"], v.mean(), **close)
        if second:
            np.testing.assert_allclose(model.second_mentor.gamma, second.gamma, **close)
        np.testing.assert_allclose(model.network.get_weights()[0], oracle.weights, **close)
    assert {"all_v_0": v.mean() == 0, "all_v_1": v.mean() == 1}.get(setting, True)


def test_equal_losses(draws):
    # With all weights 0 every loss is log 4: γ is half of that, so v = 0 and P_v is uniform.
    images, labels = batches(32)
    model = linear_model(images, 0.0, gamma_p=0.6, alpha=2.0, burn_in=0.0)
    model.network.set_weights([np.zeros((7, 4), np.float32)])
    logs = model.train_step((images[0], labels[0]))
    np.testing.assert_allclose(logs["gamma"], np.log(4) / 2, atol=1e-5)
    np.testing.assert_allclose(draws["probabilities"][0], np.full(32, 1 / 32), atol=1e-6)
    np.testing.assert_allclose(logs["loss"], np.log(4), atol=1e-5)


@pytest.mark.parametrize("alpha", [0.0, -1.0])
def test_no_mixing_without_alpha(alpha, draws):
    images, labels = batches(32)
    model = linear_model(images, 0.1, gamma_p=0.6, alpha=alpha)
    logits = images[0].astype(np.float64) @ model.network.get_weights()[0]
    logs = model.train_step((images[0], labels[0]))
    expected = oracles.cross_entropy(labels[0].astype(np.float64), logits).mean()
    np.testing.assert_allclose(logs["loss"], expected, atol=1e-5)
    assert not draws["lam"]


def test_draws_differ_between_steps_and_seeds(draws):
    images, labels = batches(32)
    for seed in (0, 1):
        model = linear_model(images, 0.1, gamma_p=0.6, alpha=1.0)
        model.seed = seed
        for _ in range(2):
            model.train_step((images[0], labels[0]))
    for one, other in itertools.combinations(range(4), 2):
        assert not np.allclose(draws["lam"][one], draws["lam"][other])
        assert not np.array_equal(draws["partners"][one], draws["partners"][other])


def test_batchnorm_sees_the_mixed_batch_once(network, data):
    images, labels = data
    seen = []
    model = MentorMix(network, num_classes=5, gamma_p=0.6, alpha=2.0)
    model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    mix = model.mix
    model.mix = lambda batch: seen.append(mix(batch)) or seen[-1]
    reference = keras.models.clone_model(network)
    reference.set_weights(network.get_weights())

    model.train_step((images, labels))
    reference(seen[0].images, training=True)

    moving = [v.path for v in network.non_trainable_variables if "moving" in v.path]
    assert len(moving) == 2
    for ours, expected in zip(network.layers, reference.layers, strict=True):
        for variable, other in zip(ours.variables, expected.variables, strict=True):
            if "seed" in variable.path:
                variable, other = variable[1], other[1]  # the count of its draws
            np.testing.assert_allclose(variable, other, atol=1e-6)
    assert not np.allclose(network.layers[1].moving_mean, 0.0)


def test_no_gradient_flows_through_the_mix(network, data):
    images, labels = data
    model = MentorMix(network, num_classes=5)
    model.compile("sgd")
    one_hot = tf.one_hot(labels, 5)
    with tf.GradientTape() as tape:
        batch = Batch(tf.constant(images), one_hot)
        losses = model.example_losses(batch, model.first_pass_logits(batch.images))
        v = model.mentor(losses, progress=1.0)
    assert all(g is None for g in tape.gradient(v, network.trainable_weights))


def test_first_pass_uses_batch_statistics(network, data):
    images, labels = data
    model = MentorMix(network, num_classes=5)
    one_hot = tf.one_hot(labels, 5)
    before = [variable.numpy() for variable in network.variables]
    batch = Batch(tf.constant(images), one_hot)
    losses = model.example_losses(batch, model.first_pass_logits(batch.images))
    for variable, value in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    trained = model.example_losses(batch, network(images, training=True))
    np.testing.assert_allclose(losses, trained, atol=1e-5)


@pytest.mark.slow
def test_jit_gives_the_same_losses(network, data):
    images, labels = data
    start = network.get_weights()
    losses = []
    for jit_compile in (False, True):
        clone = keras.models.clone_model(network)
        clone.layers[3].rate = 0.0  # Keras's dropout masks are not the same under XLA
        clone.set_weights(start)
        model = MentorMix(clone, num_classes=5, gamma_p=0.4, alpha=2.0, second_reweight=True)
        model.compile(keras.optimizers.SGD(0.05), metrics=["accuracy"], jit_compile=jit_compile)
        history = model.fit(images, labels, batch_size=16, epochs=4, shuffle=False, verbose=0)
        assert model.jit_compile is jit_compile
        losses.append(history.history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_bfloat16_keeps_losses_in_float32(data):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = keras.Sequential([keras.layers.Input((6, 6, 1)), keras.layers.Flatten()])
        network.add(keras.layers.Dense(5))
        model = MentorMix(network, num_classes=5, gamma_p=0.6, alpha=2.0)
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        images, labels = data
        seen = []
        example_losses = model.example_losses
        model.example_losses = lambda batch, logits: (
            seen.append((batch.images, batch.labels, logits)) or example_losses(batch, logits)
        )
        model.train_step((images, labels))
        assert network(images).dtype == tf.bfloat16
        assert all(tensor.dtype == tf.float32 for call in seen for tensor in call)
    finally:
        keras.config.set_dtype_policy("float32")


def test_burn_in_is_a_fraction_of_fit(network, data):
    model = MentorMix(network, num_classes=5, gamma_p=0.5, alpha=2.0, burn_in=0.5)
    model.compile("sgd")
    history = model.fit(*data, batch_size=16, epochs=4, verbose=0)
    assert history.history["mean_v"][:2] == [1.0, 1.0]
    assert max(history.history["mean_v"][2:]) < 1.0
    assert int(model.train_steps.numpy()) == 16


def test_burn_in_belongs_to_each_fit(network, data):
    model = MentorMix(network, num_classes=5, gamma_p=0.5, alpha=2.0, burn_in=0.5)
    model.compile(keras.optimizers.SGD(0.01, gradient_accumulation_steps=4))
    first = model.fit(*data, batch_size=16, epochs=2, verbose=0).history["mean_v"]
    second = model.fit(*data, batch_size=16, epochs=2, verbose=0).history["mean_v"]
    continued = model.fit(*data, batch_size=16, initial_epoch=1, epochs=2, verbose=0)
    for history in (first, second):
        assert history[0] == 1.0 and history[1] < 1.0
    assert continued.history["mean_v"][0] < 1.0


def test_burn_in_needs_the_length_of_training(network, data):
    model = MentorMix(network, num_classes=5)
    model.compile("sgd")
    unknown = tf.data.Dataset.from_tensor_slices(data).filter(lambda x, y: True).batch(16)
    with pytest.raises(InputError, match=r"burn_in=0.09 .* steps_per_epoch"):
        model.fit(unknown, verbose=0)


@pytest.mark.parametrize("alpha", [float("nan"), float("inf")])
def test_alpha_must_be_finite(network, alpha):
    with pytest.raises(InputError, match="alpha="):
        MentorMix(network, num_classes=5, alpha=alpha)

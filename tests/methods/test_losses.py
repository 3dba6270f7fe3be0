"""Each method's loss, gradient and state against float64 oracles."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import methods, mixing
from mentormix_tf.methods import beta_mixture
from mentormix_tf.methods.layer_seeds import seed_layers
from tests.support import method_oracles, oracles
from tests.support.linear_methods import CLASSES, CLOSE, SIZE, build, losses_and_gradient

LOSSES = {
    "soft": ("bootstrap", {}, lambda y, z: method_oracles.bootstrap(y, z, "soft", 0.95)),
    "hard": (
        "bootstrap",
        dict(bootstrap_mode="hard"),
        lambda y, z: method_oracles.bootstrap(y, z, "hard", 0.8),
    ),
    "beta": ("bootstrap", dict(beta=0.3), lambda y, z: method_oracles.bootstrap(y, z, "soft", 0.3)),
    "gce": (
        "gce",
        dict(burn_in=0.6),
        lambda y, z: method_oracles.generalized_cross_entropy(y, z, 0.7, 0.0),
    ),
    "truncated": ("gce", {}, lambda y, z: method_oracles.generalized_cross_entropy(y, z, 0.7, 0.5)),
    "balance": (
        "dynamic_bootstrap",
        dict(class_balance=0.7),
        lambda y, z: oracles.cross_entropy(y, z) + 0.7 * method_oracles.imbalance(z),
    ),
    "sce": (
        "sce",
        {},
        lambda y, z: 0.1 * oracles.cross_entropy(y, z) + method_oracles.reverse_cross_entropy(y, z),
    ),
    "sce weights": (
        "sce",
        dict(alpha=6.0, beta=0.3),
        lambda y, z: (
            6.0 * oracles.cross_entropy(y, z) + 0.3 * method_oracles.reverse_cross_entropy(y, z)
        ),
    ),
    "nce_rce": (
        "nce_rce",
        dict(alpha=3.0, beta=0.5),
        lambda y, z: (
            3.0 * method_oracles.normalized_cross_entropy(y, z)
            + 0.5 * method_oracles.reverse_cross_entropy(y, z)
        ),
    ),
    "nce_mae": (
        "nce_mae",
        dict(alpha=3.0, beta=0.5),
        lambda y, z: (
            3.0 * method_oracles.normalized_cross_entropy(y, z)
            + 0.5 * method_oracles.absolute_error(y, z)
        ),
    ),
    "forward": (
        "forward",
        dict(expected_noise=0.3),
        lambda y, z: method_oracles.forward(y, z, 0.6 * np.eye(CLASSES) + 0.1),
    ),
    "no balance in burn-in": ("dynamic_bootstrap", dict(burn_in=0.6), oracles.cross_entropy),
}


@pytest.mark.parametrize("case", LOSSES)
def test_loss_and_gradient(case, batch):
    name, hyperparameters, oracle = LOSSES[case]
    labels = np.eye(CLASSES)[batch[1]]
    logits = 2 * np.random.RandomState(1).normal(size=labels.shape)
    losses, gradient = losses_and_gradient(build(name, **hyperparameters), labels, logits)
    np.testing.assert_allclose(losses, oracle(labels, logits), **CLOSE)
    expected = method_oracles.gradient(lambda z: oracle(labels, z).sum(), logits)
    np.testing.assert_allclose(gradient, expected, **CLOSE)
    if case == "truncated":
        left_out = np.all(expected == 0, axis=1)
        assert 0 < left_out.sum() < SIZE


def test_s_model(batch):
    labels = np.eye(CLASSES)[batch[1]]
    logits = 2 * np.random.RandomState(1).normal(size=labels.shape)
    model = build("s_model", expected_noise=0.3)
    np.testing.assert_allclose(np.diag(model.transition_probabilities()), 0.7, rtol=1e-5)
    w = np.random.RandomState(2).normal(size=(CLASSES, CLASSES))
    model.transition_logits.assign(w)
    losses, by_logits, by_w = losses_and_gradient(model, labels, logits, [model.transition_logits])
    np.testing.assert_allclose(losses, method_oracles.s_model(labels, logits, w), **CLOSE)
    expected = method_oracles.gradient(lambda z: method_oracles.s_model(labels, z, w).sum(), logits)
    np.testing.assert_allclose(by_logits, expected, **CLOSE)
    expected = method_oracles.gradient(lambda t: method_oracles.s_model(labels, logits, t).sum(), w)
    np.testing.assert_allclose(by_w, expected, **CLOSE)


def test_weight_decay(batch):
    model = build("weight_decay", l2=0.1)
    start = model.network.get_weights()[0].astype(np.float64)
    labels = np.eye(CLASSES)[batch[1]]

    def loss(weights):
        return oracles.cross_entropy(labels, batch[0] @ weights).mean() + 0.1 * (weights**2).sum()

    np.testing.assert_allclose(model.train_step(batch)["loss"], loss(start), **CLOSE)
    expected = start - 0.5 * method_oracles.gradient(loss, start)
    np.testing.assert_allclose(model.network.get_weights()[0], expected, **CLOSE)


def test_weight_decay_spares_all_but_kernels(network):
    model = methods.build("weight_decay", network, 5, 0, l2=1.0)
    kernels = [network.layers[0].kernel, network.layers[-1].kernel]
    expected = sum(np.sum(kernel.numpy() ** 2) for kernel in kernels)
    own = 1e-3 * np.sum(kernels[0].numpy() ** 2)  # the network's own regularizer
    np.testing.assert_allclose(model.regularization(), expected + own, rtol=1e-5)


def test_mentornet(batch):
    model = build("mentornet", gamma_p=0.5, loss_ema_decay=0.0)
    start = model.network.get_weights()[0].astype(np.float64)
    labels = np.eye(CLASSES)[batch[1]]
    losses = oracles.cross_entropy(labels, batch[0] @ start)
    v = oracles.Mentor(0.5, 0.0, "nearest", 0.0)(losses, 0.5)
    assert 0 < v.sum() < SIZE

    def loss(weights):
        return (v * oracles.cross_entropy(labels, batch[0] @ weights)).mean()

    logs = model.train_step(batch)
    np.testing.assert_allclose([logs["loss"], logs["mean_v"]], [loss(start), v.mean()], **CLOSE)
    expected = start - 0.5 * method_oracles.gradient(loss, start)
    np.testing.assert_allclose(model.network.get_weights()[0], expected, **CLOSE)


@pytest.fixture
def draws(monkeypatch):
    """Fixed λ and partners."""
    random = np.random.RandomState(7)
    lam, partners = random.uniform(size=SIZE), random.randint(SIZE, size=SIZE)
    monkeypatch.setattr(mixing, "sample_beta", lambda *_: tf.constant(lam, tf.float32))
    monkeypatch.setattr(mixing, "sample_partners", lambda *_: tf.constant(partners, tf.int32))
    return lam[:, None], partners


def step_on_mixed(model, batch, labels, lam, partners, extra=lambda logits: 0.0):
    """Asserts that a step trains on these labels, mixed up."""
    images = lam * batch[0] + (1 - lam) * batch[0][partners]
    labels = lam * labels + (1 - lam) * labels[partners]
    start = model.network.get_weights()[0].astype(np.float64)

    def loss(weights):
        logits = images @ weights
        return oracles.cross_entropy(labels, logits).mean() + extra(logits)

    np.testing.assert_allclose(model.train_step(batch)["loss"], loss(start), **CLOSE)
    expected = start - 0.5 * method_oracles.gradient(loss, start)
    np.testing.assert_allclose(model.network.get_weights()[0], expected, **CLOSE)


def test_mixup(batch, draws):
    step_on_mixed(build("mixup"), batch, np.eye(CLASSES)[batch[1]], *draws)


def test_mixup_draws_partners_uniformly(batch, monkeypatch):
    drawn = []
    sample = mixing.sample_partners
    monkeypatch.setattr(
        mixing, "sample_partners", lambda p, seed: drawn.append(p) or sample(p, seed)
    )
    build("mixup").train_step(batch)
    np.testing.assert_allclose(drawn[0], np.full(SIZE, 1 / SIZE), rtol=1e-6)


def test_dynamic_bootstrap(batch, draws):
    model = build("dynamic_bootstrap", loss_memory=40, class_balance=0.5)
    before = np.random.RandomState(2).gamma(1.0, 2.0, size=30)
    model.last_losses.assign(np.concatenate([np.full(10, -1.0), before]))
    logits = batch[0] @ model.network.get_weights()[0].astype(np.float64)
    labels = np.eye(CLASSES)[batch[1]]
    losses = oracles.cross_entropy(labels, logits)
    w = method_oracles.BetaMixture(before).wrong(losses)[:, None]
    assert w.min() < 0.3 and w.max() > 0.7
    corrected = (1 - w) * labels + w * np.eye(CLASSES)[logits.argmax(axis=1)]

    def balance(logits):
        return 0.5 * method_oracles.imbalance(logits)

    step_on_mixed(model, batch, corrected, *draws, balance)
    after = np.concatenate([before, losses])[-40:]
    np.testing.assert_allclose(model.last_losses, after, **CLOSE)


def test_dynamic_bootstrap_is_mixup_in_burn_in(batch, draws):
    model = build("dynamic_bootstrap", burn_in=0.6)
    step_on_mixed(model, batch, np.eye(CLASSES)[batch[1]], *draws)


def test_dynamic_bootstrap_without_stored_losses_is_mixup(batch, draws):
    model = build("dynamic_bootstrap", burn_in=0.0, class_balance=0.0)
    step_on_mixed(model, batch, np.eye(CLASSES)[batch[1]], *draws)


def test_beta_mixture_finds_the_wrong_labels():
    random = np.random.RandomState(0)
    wrong = random.uniform(size=2000) < 0.3
    losses = np.where(wrong, random.normal(4, 0.7, size=2000), random.gamma(1.0, 0.3, size=2000))
    losses = np.maximum(losses, 0).astype(np.float32)
    memory = np.concatenate([np.full(500, -1.0, np.float32), losses])
    found = beta_mixture.wrong_label_probability(beta_mixture.fit(memory), losses)
    oracle = method_oracles.BetaMixture(losses.astype(np.float64)).wrong(losses)
    np.testing.assert_allclose(found, oracle, atol=1e-3)
    assert np.mean((found.numpy() > 0.5) == wrong) > 0.98


@pytest.mark.parametrize("losses", [[1.0, 1.0, 1.0], [0.0] * 8, [-1.0, 2.0]])
def test_beta_mixture_of_equal_losses_is_finite(losses):
    losses = tf.constant(losses)
    found = beta_mixture.wrong_label_probability(beta_mixture.fit(losses), losses)
    assert np.all((found >= 0) & (found <= 1))


@pytest.mark.parametrize("temperatures", ["instance", "class", "both"])
def test_data_parameters(temperatures, batch):
    model = build("data_parameters", temperatures=temperatures, temperature_decay=0.02)
    random = np.random.RandomState(3)
    index = random.randint(SIZE + 2, size=SIZE)
    assert len(set(index)) < SIZE  # some example is there twice
    one_hot = np.eye(CLASSES)[batch[1]]
    places = {"instance": index, "class": batch[1]}
    start, momenta = {}, {}
    state = {v.name: v for v in model.non_trainable_variables}
    learned = {kind: state[f"{kind}_log_temperatures"] for kind in model.log_temperatures}
    moving = {kind: state[f"{kind}_momenta"] for kind in model.momenta}
    for kind, variable in learned.items():
        start[kind] = random.uniform(-1, 1, size=variable.shape)
        momenta[kind] = 10 * random.normal(size=variable.shape)  # some run into the limits
        variable.assign(start[kind])
        moving[kind].assign(momenta[kind])
    logits = batch[0] @ model.network.get_weights()[0].astype(np.float64)

    def losses(values, z):
        parts = [values[kind][places[kind]] for kind in values]
        return method_oracles.data_parameters(one_hot, z, parts)

    found, by_logits = losses_and_gradient(model, one_hot, logits, index=tf.constant(index))
    np.testing.assert_allclose(found, losses(start, logits), **CLOSE)
    expected = method_oracles.gradient(lambda z: losses(start, z).sum(), logits)
    np.testing.assert_allclose(by_logits, expected, **CLOSE)

    model.train_step({"image": batch[0], "label": batch[1], "index": index})
    for kind in start:

        def loss(values, kind=kind):
            decay = 0.01 * (values[places[kind]] ** 2).sum()
            return losses({**start, kind: values}, logits).mean() + decay

        seen = np.isin(np.arange(len(start[kind])), places[kind])
        moved = 0.9 * momenta[kind] + method_oracles.gradient(loss, start[kind])
        moved = np.where(seen, moved, momenta[kind])
        values = np.clip(start[kind] - 0.1 * moved, -np.log(20), np.log(20))
        values = np.where(seen, values, start[kind])
        np.testing.assert_allclose(moving[kind], moved, **CLOSE)
        np.testing.assert_allclose(learned[kind], values, **CLOSE)


@pytest.mark.parametrize("name", ["data_parameters", "o2u", "elr"])
def test_an_index_out_of_range_makes_the_loss_nan(name, batch):
    model = build(name, **(dict(burn_in=0.1, cycling=0.1) if name == "o2u" else {}))
    index = np.arange(SIZE)
    index[3] = SIZE + 2
    logs = model.train_step({"image": batch[0], "label": batch[1], "index": index})
    assert np.isnan(logs["loss"])


def test_o2u(batch):
    model = build("o2u", burn_in=0.1, cycling=0.6, drop_rate=0.25)
    model.optimizer.learning_rate = 0.05
    model.step.assign(0)
    sums, counts = np.zeros(SIZE + 2), np.zeros(SIZE + 2)
    model.begin_training(20)
    start = weights = model.network.get_weights()[0].astype(np.float64)
    random = np.random.RandomState(4)
    for step in range(20):
        chosen = random.randint(SIZE, size=12)
        images, one_hot = batch[0][chosen], np.eye(CLASSES)[batch[1][chosen]]
        losses = oracles.cross_entropy(one_hot, images @ weights)
        v = np.ones(12)
        if step >= 14:
            means = sums / np.maximum(counts, 1)
            v = (means <= np.sort(means)[int(0.75 * (SIZE + 1))])[chosen] / 0.75
            assert 0 < np.count_nonzero(v) < 12
        logs = model.train_step({"image": images, "label": batch[1][chosen], "index": chosen})
        np.testing.assert_allclose(logs["loss"], (v * losses).mean(), **CLOSE)
        model.reset_metrics()
        if 2 <= step < 14:
            for i, loss in zip(chosen, losses - losses.mean(), strict=True):
                sums[i] += loss
                counts[i] += 1

        def loss(w, images=images, one_hot=one_hot, v=v):
            return (v * oracles.cross_entropy(one_hot, images @ w)).mean()

        weights = weights - 0.05 * method_oracles.gradient(loss, weights)
        if step == 13:  # the last of stage 2
            np.testing.assert_array_equal(model.network.get_weights()[0], start)
            weights = start
    np.testing.assert_allclose(model.network.get_weights()[0], weights, **CLOSE)


def test_o2u_schedule():
    model = build("o2u", burn_in=0.2, cycling=0.4, cycles=4)
    schedule = model.shape_schedule(None, 0.5, 100)
    rates = np.array([float(schedule(step)) for step in range(101)])
    np.testing.assert_allclose(rates[:20], 0.5)
    cycle = 0.5 * (1 - 0.9 * np.arange(10) / 10)
    np.testing.assert_allclose(rates[21:60].reshape(39), np.tile(cycle, 4)[1:], rtol=1e-3)
    cosine = 0.25 + 0.25 * np.cos(np.pi * np.arange(1, 41) / 40)
    np.testing.assert_allclose(rates[61:], cosine, atol=1e-6)
    assert type(schedule).from_config(schedule.get_config()).get_config() == schedule.get_config()


class TestDropout:
    def rate_of_zeros(self, model, images):
        """Share of the features that the last layer sees as 0."""
        seen = []
        dense = model.network.layers[-1]
        call = dense.call
        dense.call = lambda inputs, *args, **kwargs: seen.append(inputs) or call(inputs)
        try:
            model(images, training=True)
        finally:
            dense.call = call
        return np.mean(np.concatenate(seen) == 0), seen[0]

    @pytest.fixture
    def model(self):
        layers = [keras.layers.Input((8,)), keras.layers.Rescaling(2.0), keras.layers.Dense(3)]
        return methods.build("dropout", keras.Sequential(layers), 3, 0, dropout_rate=0.3)

    def test_the_classifier_sees_dropped_features(self, model):
        images = np.ones((4000, 8), np.float32)
        zeros, seen = self.rate_of_zeros(model, images)
        np.testing.assert_allclose(zeros, 0.3, atol=0.02)
        np.testing.assert_allclose(np.unique(seen), [0, 2 / 0.7], rtol=1e-5)
        np.testing.assert_array_equal(model(images, training=False), model.network(images))

    def test_masks_differ_between_steps_and_repeat_for_one_step(self, model):
        images = np.ones((50, 8), np.float32)
        masks = []
        for step in (0, 1, 0):
            model.step.assign(step)
            seed_layers(model, model.step_seed())
            masks.append(self.rate_of_zeros(model, images)[1])
        assert not np.array_equal(masks[0], masks[1])
        np.testing.assert_array_equal(masks[0], masks[2])

    def test_regularization_counts_once(self):
        layers = [keras.layers.Input((8,)), keras.layers.Dense(3, kernel_regularizer="l2")]
        model = methods.build("dropout", keras.Sequential(layers), 3, 0)
        expected = 0.01 * np.sum(model.network.get_weights()[0] ** 2)
        np.testing.assert_allclose(model.regularization(), expected, rtol=1e-5)
        assert len(model.trainable_weights) == 2

    def test_networks_of_any_form(self):
        images = keras.layers.Input((6, 6, 1))
        flat = keras.layers.Flatten()(images)
        both = keras.layers.Concatenate()([flat, keras.layers.Dense(4)(flat)])
        logits = keras.layers.Activation("linear")(keras.layers.Dense(3)(both))
        methods.build("dropout", keras.Model(images, logits), 3, 0)
        unbuilt = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)])
        model = methods.build("dropout", unbuilt, 3, 0)
        model.compile("sgd")
        model.fit(np.ones((8, 6, 6, 1)), np.zeros(8), verbose=0)

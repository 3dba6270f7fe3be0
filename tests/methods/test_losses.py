"""Each method's loss, gradient and state against float64 oracles."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError, methods, mixing
from mentormix_tf.methods import beta_mixture
from mentormix_tf.methods.batch import Batch
from mentormix_tf.methods.layer_seeds import seed_layers
from tests.support import method_oracles, oracles

CLASSES, SIZE, FEATURES = 4, 16, 7
CLOSE = dict(rtol=2e-4, atol=2e-5)


def build(name, **hyperparameters):
    """A method around logits = images @ weights, after 10 of 20 steps."""
    layers = [keras.layers.Input((FEATURES,)), keras.layers.Dense(CLASSES, use_bias=False)]
    model = methods.build(
        name, keras.Sequential(layers), CLASSES, SIZE + 2, seed=3, **hyperparameters
    )
    model.compile(keras.optimizers.SGD(0.5), run_eagerly=True)
    model.train_steps.assign(20)
    model.step.assign(10)
    return model


@pytest.fixture
def batch():
    random = np.random.RandomState(5)
    images = random.normal(size=(SIZE, FEATURES)).astype(np.float32)
    labels = random.randint(CLASSES, size=SIZE)
    return images, labels


def losses_and_gradient(model, labels, logits, variables=(), index=None):
    """`example_losses`, and the gradients of their sum with respect to logits and variables."""
    logits = tf.constant(logits, tf.float32)
    batch = Batch(None, tf.constant(labels, tf.float32), index=index)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = model.example_losses(batch, logits)
    gradients = tape.gradient(losses, [logits, *(v.value for v in variables)])
    return losses, *gradients


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


@pytest.mark.parametrize("step", [0, 5, 15])
def test_co_teaching(batch, step):
    """A step of both networks, while the share that is left out rises and after that."""
    model = build("co_teaching", forget_rate=0.5, forget_ramp=0.5, weight_decay=0.01)
    model.step.assign(step)
    labels = np.eye(CLASSES)[batch[1]]
    starts = [each.get_weights()[0].astype(np.float64) for each in (model.network, model.peer)]
    assert not np.allclose(*starts)
    kept = SIZE - int(SIZE * 0.5 * min(step / 10, 1.0))

    def loss(weights):
        logits = [batch[0] @ each for each in weights]
        decay = 0.01 * sum((each**2).sum() for each in weights)
        return method_oracles.co_teaching(labels, *logits, kept) + decay

    np.testing.assert_allclose(model.train_step(batch)["loss"], loss(starts), **CLOSE)
    gradient = method_oracles.gradient(loss, np.array(starts))
    for network, start, slope in zip((model.network, model.peer), starts, gradient, strict=True):
        np.testing.assert_allclose(network.get_weights()[0], start - 0.5 * slope, **CLOSE)


def test_co_teaching_starts_its_peer_from_trained_weights(network):
    model = methods.build("co_teaching", network, 5, 0)
    assert not np.allclose(network.layers[0].kernel, model.peer.layers[0].kernel)
    model.start_peer_from_network()
    for own, other in zip(network.layers[:-1], model.peer.layers[:-1], strict=True):
        for weight, same in zip(own.weights, other.weights, strict=True):
            if "seed_generator" not in weight.path:
                np.testing.assert_array_equal(weight, same)
    assert not np.allclose(network.layers[-1].kernel, model.peer.layers[-1].kernel)


def test_co_teaching_needs_a_network_that_can_be_made_twice():
    class Own(keras.Model):
        def __init__(self, units):
            super().__init__()
            self.units = units

    with pytest.raises(InputError, match="Own can't be saved so that it loads as it is"):
        methods.build("co_teaching", Own(3), 5, 0)


def test_s_model(batch):
    labels = np.eye(CLASSES)[batch[1]]
    logits = 2 * np.random.RandomState(1).normal(size=labels.shape)
    model = build("s_model", expected_noise=0.3)
    np.testing.assert_allclose(np.diag(model.transition_matrix()), 0.7, rtol=1e-5)
    w = np.random.RandomState(2).normal(size=(CLASSES, CLASSES))
    model.transition_logits.assign(w)
    losses, by_logits, by_w = losses_and_gradient(model, labels, logits, [model.transition_logits])
    np.testing.assert_allclose(losses, method_oracles.s_model(labels, logits, w), **CLOSE)
    expected = method_oracles.gradient(lambda z: method_oracles.s_model(labels, z, w).sum(), logits)
    np.testing.assert_allclose(by_logits, expected, **CLOSE)
    expected = method_oracles.gradient(lambda t: method_oracles.s_model(labels, logits, t).sum(), w)
    np.testing.assert_allclose(by_w, expected, **CLOSE)


MATRIX = np.array([[0.7, 0.3, 0, 0], [0, 1, 0, 0], [0.1, 0.2, 0.3, 0.4], [0.25] * 4])


def test_forward_with_the_matrix_of_a_file(batch, tmp_path):
    np.savetxt(tmp_path / "matrix.csv", MATRIX, delimiter=",")
    model = build("forward", transition_matrix=str(tmp_path / "matrix.csv"))
    labels = np.eye(CLASSES)[batch[1]]
    logits = 2 * np.random.RandomState(1).normal(size=labels.shape)
    losses, gradient = losses_and_gradient(model, labels, logits)
    expected = method_oracles.forward(labels, logits, MATRIX)
    np.testing.assert_allclose(losses, expected, **CLOSE)
    # Transposed, the matrix would give other losses.
    assert np.abs(expected - method_oracles.forward(labels, logits, MATRIX.T)).max() > 0.1
    expected = method_oracles.gradient(
        lambda z: method_oracles.forward(labels, z, MATRIX).sum(), logits
    )
    np.testing.assert_allclose(gradient, expected, **CLOSE)
    assert not [v for v in model.trainable_weights if v is model.transitions]
    model.set_transition_matrix(np.eye(CLASSES))
    losses, _ = losses_and_gradient(model, labels, logits)
    np.testing.assert_allclose(losses, oracles.cross_entropy(labels, logits), **CLOSE)


def test_forward_is_finite_where_labels_are_impossible():
    model = build("forward")
    model.set_transition_matrix(np.eye(CLASSES))
    labels, logits = np.eye(CLASSES)[[0, 1]], np.array([[-500.0, 500, 0, 0], [0, 200, 0, 0]])
    losses, gradient = losses_and_gradient(model, labels, logits)
    assert np.isfinite(losses).all() and np.isfinite(gradient).all()
    assert losses[0] > 60 and losses[1] < 1e-3


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), "4 classes need a transition matrix of 4 x 4"),
        (np.ones([4, 4]), "must have rows of probabilities that sum to 1"),
        (np.eye(4) + 0.5 * (np.eye(4) - np.eye(4)[::-1]), "must have rows of probabilities"),
        (np.full([4, 4], np.nan), "must have rows of probabilities"),
        (np.ones([4, 2]) / 2, "has as many columns as rows"),
        (np.ones(4), "has as many columns as rows"),
        (np.ones([0, 0]), "has as many columns as rows"),
    ],
)
def test_what_is_no_transition_matrix(matrix, message, tmp_path):
    model = build("forward")
    before = model.transitions.numpy()
    with pytest.raises(InputError, match=f"^The transition matrix .*{message}"):
        model.set_transition_matrix(matrix)
    np.testing.assert_array_equal(model.transitions, before)
    np.save(tmp_path / "matrix.npy", matrix)
    with pytest.raises(InputError, match=r"^transition_matrix=\S+matrix.npy "):
        build("forward", transition_matrix=str(tmp_path / "matrix.npy"))


def test_an_oracle_must_be_told(batch):
    model = build("forward", transition_matrix="oracle")
    with pytest.raises(InputError, match="transition_matrix=oracle is known to the train command"):
        model.fit(*batch, verbose=0)
    model.set_transition_matrix(MATRIX)
    assert np.isfinite(model.fit(*batch, verbose=0).history["loss"]).all()


def test_elr(batch):
    model = build("elr", beta=0.8, elr_lambda=2.0)
    random = np.random.RandomState(3)
    index = random.randint(SIZE + 2, size=SIZE)
    assert len(set(index)) < SIZE  # some example is there twice
    before = random.dirichlet(np.ones(CLASSES), size=SIZE + 2)
    model.targets.variable.assign(before)
    one_hot = np.eye(CLASSES)[batch[1]]
    start = model.network.get_weights()[0].astype(np.float64)
    start = 20 * start  # some probabilities run into the limits
    model.network.set_weights([start])
    logits = batch[0] @ start
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert (p / p.sum(axis=1, keepdims=True)).max() > 1 - 1e-4
    targets = method_oracles.elr_targets(before[index], logits, 0.8)

    def loss(weights):
        return method_oracles.elr(one_hot, batch[0] @ weights, targets, 2.0).mean()

    found, by_logits = losses_and_gradient(model, one_hot, logits, index=tf.constant(index))
    np.testing.assert_allclose(
        found, method_oracles.elr(one_hot, logits, targets, 2.0), rtol=1e-3, atol=1e-4
    )
    expected = method_oracles.gradient(
        lambda z: method_oracles.elr(one_hot, z, targets, 2.0).sum(), logits
    )
    np.testing.assert_allclose(by_logits, expected, rtol=1e-3, atol=1e-4)

    logs = model.train_step({"image": batch[0], "label": batch[1], "index": index})
    np.testing.assert_allclose(logs["loss"], loss(start), rtol=1e-3)
    expected = start - 0.5 * method_oracles.gradient(loss, start)
    np.testing.assert_allclose(model.network.get_weights()[0], expected, rtol=1e-3, atol=1e-4)
    for row in range(SIZE + 2):
        places = np.flatnonzero(index == row)
        value = targets[places[0]] if places.size else before[row]
        np.testing.assert_allclose(model.targets.variable[row], value, **CLOSE)


def test_elr_opposes_a_label_that_its_target_contradicts():
    """Beyond the point where both gradients cancel, the label is no longer learned."""
    model = build("elr", beta=0.9, elr_lambda=3.0)
    model.targets.variable.assign(np.tile([0.95, 0.05, 0, 0], (SIZE + 2, 1)))
    labels, logits = np.eye(CLASSES)[[1, 0]], np.tile([2.0, 0, -3, -3], (2, 1))
    _, gradient = losses_and_gradient(model, labels, logits, index=tf.constant([0, 1]))
    assert gradient[0, 0] < 0 < gradient[0, 1]  # towards the target's class, away from the label's
    assert gradient[1, 0] < 0


def test_elr_forgets_the_targets_of_an_earlier_training(batch):
    model = build("elr")
    columns = {"image": batch[0], "label": batch[1], "index": np.arange(SIZE)}
    data = tf.data.Dataset.from_tensor_slices(columns).batch(SIZE)
    model.fit(data, epochs=3, verbose=0)
    sums = np.sum(model.targets.variable, axis=1)
    np.testing.assert_allclose(sums[:SIZE], 1 - 0.7**3, rtol=1e-5)
    assert not sums[SIZE:].any()
    model.fit(data, epochs=1, verbose=0)
    np.testing.assert_allclose(np.sum(model.targets.variable, axis=1)[:SIZE], 0.3, rtol=1e-5)
    model.fit(data, epochs=2, initial_epoch=1, verbose=0)
    np.testing.assert_allclose(np.sum(model.targets.variable, axis=1)[:SIZE], 0.51, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.4, -0.4, -6.0])
def test_smoothing_of_labels(smoothing, batch):
    """As published: (1 - r)·ℓ of the label + r · the mean of ℓ over all classes."""
    model = build("vanilla", label_smoothing=smoothing)
    start = model.network.get_weights()[0].astype(np.float64)
    labels = np.eye(CLASSES)[batch[1]]

    def loss(weights):
        own = oracles.cross_entropy(labels, batch[0] @ weights)
        every = oracles.cross_entropy(np.ones_like(labels) / CLASSES, batch[0] @ weights)
        return ((1 - smoothing) * own + smoothing * every).mean()

    np.testing.assert_allclose(model.train_step(batch)["loss"], loss(start), **CLOSE)
    expected = start - 0.5 * method_oracles.gradient(loss, start)
    np.testing.assert_allclose(model.network.get_weights()[0], expected, **CLOSE)


@pytest.mark.parametrize("name", ["gce", "dynamic_bootstrap", "data_parameters"])
def test_methods_that_need_probabilities_refuse_smoothing_below_0(name):
    with pytest.raises(InputError, match=rf"label_smoothing=-0.4 must not be below 0 for {name}"):
        build(name, label_smoothing=-0.4)


@pytest.mark.parametrize("name", ["s_model", "bootstrap", "mixup", "mentormix", "elr", "nce_rce"])
def test_other_methods_take_smoothing_below_0(name, batch):
    model = build(name, label_smoothing=-0.4, logit_clip=2.0)
    logs = model.train_step({"image": batch[0], "label": batch[1], "index": np.arange(SIZE)})
    assert np.isfinite(logs["loss"])
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_clipped_logits(batch):
    """Logits longer than τ have the norm τ in training, and are as they are in evaluation."""
    model = build("vanilla", logit_clip=1.5)
    start = model.network.get_weights()[0].astype(np.float64)
    labels = np.eye(CLASSES)[batch[1]]
    norms = np.linalg.norm(batch[0] @ start, axis=1)
    assert 3 < (norms > 1.5).sum() < SIZE - 3

    def loss(weights):
        logits = batch[0] @ weights
        norms = np.linalg.norm(logits, axis=1, keepdims=True)
        return oracles.cross_entropy(labels, logits * np.minimum(1, 1.5 / norms)).mean()

    whole = oracles.cross_entropy(labels, batch[0] @ start).mean()
    np.testing.assert_allclose(model.evaluate(*batch, verbose=0), whole, rtol=1e-5)
    first = model.first_pass_logits(tf.constant(batch[0]))
    np.testing.assert_allclose(np.linalg.norm(first, axis=1).max(), 1.5, rtol=1e-5)
    model.reset_metrics()
    np.testing.assert_allclose(model.train_step(batch)["loss"], loss(start), **CLOSE)
    expected = start - 0.5 * method_oracles.gradient(loss, start)
    np.testing.assert_allclose(model.network.get_weights()[0], expected, **CLOSE)
    zeros = (np.zeros_like(batch[0]), batch[1])
    assert np.isfinite(model.train_step(zeros)["loss"])
    assert np.isfinite(model.network.get_weights()[0]).all()


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
    weights = model.network.get_weights()[0].astype(np.float64)
    random = np.random.RandomState(4)
    for step in range(20):
        chosen = random.randint(SIZE, size=12)
        images, one_hot = batch[0][chosen], np.eye(CLASSES)[batch[1][chosen]]
        losses = oracles.cross_entropy(one_hot, images @ weights)
        v = np.ones(12)
        if step >= 14:
            means = sums / np.maximum(counts, 1)
            v = (means <= np.sort(means)[int(0.75 * (SIZE + 1))])[chosen]
            assert 0 < v.sum() < 12
        logs = model.train_step({"image": images, "label": batch[1][chosen], "index": chosen})
        np.testing.assert_allclose(logs["loss"], (v * losses).mean(), **CLOSE)
        model.reset_metrics()
        if 2 <= step < 14:
            for i, loss in zip(chosen, losses - losses.mean(), strict=True):
                sums[i] += loss
                counts[i] += 1

        def loss(w, images=images, one_hot=one_hot, v=v):
            return (v * oracles.cross_entropy(one_hot, images @ w)).mean()

        weights -= 0.05 * method_oracles.gradient(loss, weights)
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

"""Steps with SAM against float64 oracles, and what they must leave alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError, MentorMix, Vanilla, methods
from mentormix_tf.methods import MentorNet, sam
from mentormix_tf.training.checkpoints import Checkpoints
from mentormix_tf.training.recipe import BackboneSGD
from tests.support import method_oracles, oracles

RHO, RATE, SIZE, FEATURES, HIDDEN, CLASSES = 0.3, 0.5, 16, 7, 5, 4
CLOSE = dict(rtol=1e-4, atol=1e-5)


class Network:
    """dense → BatchNorm → tanh → dense in float64, with an L2 penalty on its first kernel."""

    def __init__(self, weights):
        self.start = [weight.astype(np.float64) for weight in weights[:3] + weights[5:]]
        self.shapes = [weight.shape for weight in self.start]

    def flat(self):
        return np.concatenate([weight.ravel() for weight in self.start])

    def parts(self, flat):
        ends = np.cumsum([np.prod(shape) for shape in self.shapes])[:-1]
        return [p.reshape(s) for p, s in zip(np.split(flat, ends), self.shapes, strict=True)]

    def losses(self, flat, images, labels):
        """The losses, the penalties, and the mean and variance that BatchNorm sees."""
        first, gamma, beta, last, bias = self.parts(flat)
        hidden = images @ first
        mean, variance = hidden.mean(axis=0), hidden.var(axis=0)
        active = np.tanh((hidden - mean) / np.sqrt(variance + 1e-3) * gamma + beta)
        penalty = 0.01 * (first**2).sum() + 0.1 * (active**2).sum() / len(images)
        return oracles.cross_entropy(labels, active @ last + bias), penalty, mean, variance


class Penalty(keras.layers.Layer):
    """Adds 0.1 · the mean over the batch of Σ x² to the loss.

    (keras.layers.ActivityRegularization divides by the batch size in newer versions alone.)
    """

    def call(self, inputs):
        self.add_loss(0.1 * keras.ops.mean(keras.ops.sum(keras.ops.square(inputs), axis=1)))
        return inputs


def network():
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.layers.Input((FEATURES,)),
            keras.layers.Dense(
                HIDDEN, use_bias=False, kernel_regularizer=keras.regularizers.L2(0.01)
            ),
            keras.layers.BatchNormalization(momentum=0.7),
            keras.layers.Activation("tanh"),
            Penalty(),
            keras.layers.Dense(CLASSES),
        ]
    )


@pytest.fixture
def batch():
    random = np.random.RandomState(5)
    images = random.normal(size=(SIZE, FEATURES)).astype(np.float32)
    return images, random.randint(CLASSES, size=SIZE)


def uphill(loss, weights):
    """The weights that SAM climbs to, by central differences of a scalar loss."""
    gradient = method_oracles.gradient(loss, weights)
    return weights + RHO * gradient / np.linalg.norm(gradient)


def test_uphill_is_a_step_of_length_rho_along_the_gradient_of_all_weights():
    random = np.random.RandomState(0)
    values = [random.normal(size=shape).astype(np.float32) for shape in [(3, 2), (4,), (5,)]]
    variables = [keras.Variable(value) for value in values]
    dense = tf.constant(random.normal(size=(3, 2)), tf.float32)
    sparse = tf.IndexedSlices(
        tf.constant([1.0, 2.0, 3.0]), tf.constant([3, 0, 3]), tf.constant([4])
    )
    found = sam.uphill(variables, [dense, sparse, None], RHO)
    gradients = [dense.numpy().astype(np.float64), np.array([2.0, 0.0, 0.0, 4.0])]
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    for value, gradient, other in zip(values, gradients, found, strict=False):
        np.testing.assert_allclose(other, value + RHO * gradient / norm, rtol=1e-5)
    np.testing.assert_array_equal(found[2], values[2])


def test_a_gradient_of_zero_leads_nowhere():
    variables = [keras.Variable(np.float32([1.0, 2.0]))]
    np.testing.assert_array_equal(sam.uphill(variables, [tf.zeros(2)], RHO)[0], [1.0, 2.0])
    np.testing.assert_array_equal(sam.uphill(variables, [None], RHO)[0], [1.0, 2.0])


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("method", [Vanilla, MentorNet])
def test_a_step_agrees_with_the_oracle(method, jit_compile, batch):
    images, labels = batch
    settings = {} if method is Vanilla else dict(burn_in=0.0, loss_ema_decay=0.0)
    model = method(network(), CLASSES, sam_rho=RHO, **settings)
    model.compile(keras.optimizers.SGD(RATE), jit_compile=jit_compile)
    oracle, one_hot = Network(model.network.get_weights()), np.eye(CLASSES)[labels]
    given = np.random.RandomState(1).uniform(0.5, 2.0, size=SIZE).astype(np.float32)
    columns = {"image": images, "label": labels, "example_weight": given}
    logs = model.fit(
        tf.data.Dataset.from_tensor_slices(columns).batch(SIZE), shuffle=False, verbose=0
    ).history

    start = oracle.flat()
    losses, _, mean, variance = oracle.losses(start, images, one_hot)
    weights = given.astype(np.float64)
    if method is MentorNet:  # by the losses of the first pass
        weights *= oracles.Mentor(0.75, 0.0, "nearest", 0.0)(losses, 1.0)
        assert 0 < np.count_nonzero(weights) < SIZE

    def loss(flat):
        losses, penalty, *_ = oracle.losses(flat, images, one_hot)
        return (weights * losses).mean() + penalty

    np.testing.assert_allclose(logs["loss"][0], loss(start), **CLOSE)
    expected = start - RATE * method_oracles.gradient(loss, uphill(loss, start))
    plain = start - RATE * method_oracles.gradient(loss, start)
    assert np.abs(expected - plain).max() > 0.01  # SAM makes a difference here
    found = model.network.get_weights()
    for value, other in zip(found[:3] + found[5:], oracle.parts(expected), strict=True):
        np.testing.assert_allclose(value, other, **CLOSE)
    np.testing.assert_allclose(found[3], 0.3 * mean, **CLOSE)  # once, from the first pass
    np.testing.assert_allclose(found[4], 0.7 + 0.3 * variance, **CLOSE)


def linear(method=Vanilla, optimizer=None, layers=(), **arguments):
    """A method around logits = images @ kernel."""
    stack = [keras.layers.Input((FEATURES,)), *layers]
    stack.append(keras.layers.Dense(CLASSES, use_bias=False))
    model = method(keras.Sequential(stack), CLASSES, seed=3, sam_rho=RHO, **arguments)
    model.compile(optimizer or keras.optimizers.SGD(RATE), run_eagerly=True)
    model.train_steps.assign(10)
    return model


def linear_loss(images, labels):
    one_hot = np.eye(CLASSES)[labels]
    return lambda kernel: oracles.cross_entropy(one_hot, images @ kernel).mean()


def kernel_of(model):
    return model.network.get_weights()[-1].astype(np.float64)


def test_clipping_is_of_the_gradient_uphill(batch):
    model = linear(optimizer=keras.optimizers.SGD(RATE, clipnorm=0.1))
    start, loss = kernel_of(model), linear_loss(*batch)
    model.train_step(batch)
    gradient = method_oracles.gradient(loss, uphill(loss, start))
    expected = start - RATE * 0.1 * gradient / np.linalg.norm(gradient)
    np.testing.assert_allclose(kernel_of(model), expected, **CLOSE)


def test_accumulated_gradients_are_each_taken_uphill_of_their_own_batch(batch):
    model = linear(optimizer=keras.optimizers.SGD(RATE, gradient_accumulation_steps=2))
    start, gradients = kernel_of(model), []
    for half in (slice(0, 8), slice(8, 16)):
        images, labels = batch[0][half], batch[1][half]
        loss = linear_loss(images, labels)
        gradients.append(method_oracles.gradient(loss, uphill(loss, start)))
        model.train_step((images, labels))
    np.testing.assert_allclose(kernel_of(model), start - RATE * np.mean(gradients, axis=0), **CLOSE)


def test_frozen_layers_and_a_backbones_learning_rate(batch):
    images, labels = batch
    frozen, backbone = keras.layers.Dense(6, trainable=False), keras.layers.Dense(5)
    model = linear(layers=[frozen, backbone])
    rates = dict(ratio=0.1, backbone=[weight.path for weight in backbone.weights])
    model.compile(BackboneSGD(RATE, **rates), run_eagerly=True)
    fixed, bias, *start = (w.astype(np.float64) for w in model.network.get_weights())
    shapes = [weight.shape for weight in start]

    def parts(flat):
        ends = np.cumsum([np.prod(shape) for shape in shapes])[:-1]
        return [p.reshape(s) for p, s in zip(np.split(flat, ends), shapes, strict=True)]

    def loss(flat):
        kernel, offset, last = parts(flat)
        return linear_loss(((images @ fixed + bias) @ kernel + offset), labels)(last)

    flat = np.concatenate([weight.ravel() for weight in start])
    gradients = parts(method_oracles.gradient(loss, uphill(loss, flat)))
    model.train_step(batch)
    found = model.network.get_weights()
    np.testing.assert_array_equal(found[0], fixed.astype(np.float32))
    for i, rate in enumerate([0.1 * RATE, 0.1 * RATE, RATE]):
        np.testing.assert_allclose(found[i + 2], start[i] - rate * gradients[i], **CLOSE)


class Recorder(keras.layers.Layer):
    """Records what passes through it."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def call(self, inputs):
        if tf.executing_eagerly():
            self.seen.append(inputs.numpy())
        return inputs


def test_the_second_pass_sees_the_same_mixed_batch_through_the_same_dropout(batch):
    recorder = Recorder()
    settings = dict(gamma_p=0.6, alpha=2.0, burn_in=0.0)
    model = linear(MentorMix, layers=[keras.layers.Dropout(0.5), recorder], **settings)
    recorder.seen.clear()
    for _ in range(2):
        model.train_step(batch)
    unmixed, mixed, uphill, *_, mixed_later, uphill_later = recorder.seen
    assert len(recorder.seen) == 6
    np.testing.assert_array_equal(mixed, uphill)
    np.testing.assert_array_equal(mixed_later, uphill_later)
    assert 0 < (mixed == 0).mean() < 1 and (mixed != unmixed).any()
    assert ((mixed == 0) != (mixed_later == 0)).any()


def test_mentormix_agrees_with_the_oracle(monkeypatch):
    random = np.random.RandomState(5)
    images = random.normal(size=(10, 32, FEATURES)).astype(np.float32)
    labels = np.eye(CLASSES, dtype=np.float32)[random.randint(CLASSES, size=(10, 32))]
    settings = dict(gamma_p=0.6, alpha=2.0, burn_in=0.2, second_reweight=True)
    model = linear(MentorMix, **settings)
    mentors = [oracles.Mentor(0.6, 0.5, "nearest", 0.2) for _ in range(2)]
    oracle = oracles.LinearMentorMix(kernel_of(model), RATE, 10, *mentors, sam_rho=RHO)
    shown = []
    original = model.mix
    monkeypatch.setattr(model, "mix", lambda batch: shown.append(original(batch)) or shown[-1])
    for step in range(10):
        oracle.weigh(images[step], labels[step], step)
        model.reset_metrics()
        logs = model.train_step((images[step], labels[step]))
        mixed = shown[-1].images.numpy(), shown[-1].labels.numpy()
        np.testing.assert_allclose(logs["loss"], oracle.learn(*mixed, step), **CLOSE)
        np.testing.assert_allclose(kernel_of(model), oracle.weights, **CLOSE)
        for mentor, other in zip((model.mentor, model.second_mentor), mentors, strict=True):
            np.testing.assert_allclose(mentor.gamma, other.gamma, **CLOSE)


@pytest.mark.parametrize("name", methods.METHODS)
def test_only_trained_weights_differ_from_a_plain_step(name, network, data):
    columns = {"image": data[0], "label": data[1], "index": np.arange(64)}
    batches = tf.data.Dataset.from_tensor_slices(columns).batch(64)
    after = []
    start = network.get_weights()
    for rho in (0.0, RHO):
        copy = keras.models.clone_model(network)
        copy.set_weights(start)
        keras.utils.set_random_seed(0)  # for Co-teaching's second network
        model = methods.build(name, copy, 5, 64, seed=3, sam_rho=rho, audit_examples=64)
        model.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"], run_eagerly=True)
        losses = model.fit(batches, verbose=0, shuffle=False).history
        after.append((losses, model))
    (logs, plain), (other_logs, uphill) = after
    assert logs == other_logs
    trained = {id(weight) for weight in uphill.trainable_weights}
    for one, other in zip(plain.variables, uphill.variables, strict=True):
        if id(other) in trained:
            assert one.path.endswith("bias") or not np.allclose(one, other, atol=1e-6), one.path
        elif "seed_generator" not in one.path:
            np.testing.assert_array_equal(one, other, one.path)


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_bfloat16(jit_compile, batch):
    found = []
    for policy in ("float32", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        try:
            model = Vanilla(network(), CLASSES, sam_rho=RHO)
        finally:
            keras.config.set_dtype_policy("float32")
        start = model.network.get_weights()
        model.compile(keras.optimizers.SGD(RATE), jit_compile=jit_compile)
        model.fit(*batch, batch_size=SIZE, shuffle=False, verbose=0)
        found.append([a - b for a, b in zip(model.network.get_weights(), start, strict=True)])
        assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    for exact, rounded in zip(*found, strict=True):
        assert np.linalg.norm(rounded - exact) < 0.05 * np.linalg.norm(exact)


def test_a_model_with_sam_is_saved_loaded_and_resumed(network, data, tmp_path):
    batches = tf.data.Dataset.from_tensor_slices(data).batch(32)

    def built():
        copy = keras.models.clone_model(network)
        copy.set_weights(network.get_weights())
        model = MentorMix(copy, 5, seed=4, sam_rho=RHO)
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), run_eagerly=True)
        model.build_for(batches.element_spec)
        return model, Checkpoints(model, tmp_path / "checkpoints", keep=1)

    model, checkpoints = built()
    save = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: epoch or checkpoints.save(2, {})
    )
    losses = model.fit(batches, epochs=2, verbose=0, callbacks=[save]).history["loss"]
    other, checkpoints = built()
    checkpoints.restore()
    assert other.fit(batches, epochs=2, initial_epoch=1, verbose=0).history["loss"] == losses[1:]
    for one, two in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(one, two, one.path)

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.sam_rho == RHO
    predictions = model.predict(data[0], verbose=0)
    np.testing.assert_array_equal(loaded.predict(data[0], verbose=0), predictions)


@pytest.mark.parametrize("rho", [-0.1, float("nan"), float("inf")])
def test_bad_lengths_are_refused(rho, network):
    with pytest.raises(InputError, match=f"sam_rho={rho} must be a number of at least 0"):
        Vanilla(network, 5, sam_rho=rho)

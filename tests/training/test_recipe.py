"""Learning-rate schedules against formulas, recipes in flagfiles, penalties against NumPy."""

import dataclasses
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError, Vanilla, networks, shipped
from mentormix_tf.config import TrainingConfig
from mentormix_tf.training import recipe
from tests.support import oracles

RECIPES = pathlib.Path(shipped.__file__).parent / "flags" / "recipes"
STEPS = np.arange(0, 1000, 7)


@pytest.mark.parametrize("warmup_steps", [0, 100])
@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", lambda t, length: np.full(t.shape, 0.3)),
        ("cosine", lambda t, length: 0.15 * (1 + np.cos(np.pi * t / length))),
        ("staircase", lambda t, length: 0.3 * 0.5 ** (t // 200)),
    ],
)
def test_schedules(schedule, expected, warmup_steps):
    config = TrainingConfig(
        train_steps=1000,
        learning_rate=0.3,
        schedule=schedule,
        decay_every=200,
        decay_rate=0.5,
        warmup_steps=warmup_steps,
    )
    rate = recipe.learning_rate(config)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(rate))
    after = expected(np.maximum(STEPS - warmup_steps, 0).astype(float), 1000 - warmup_steps)
    rising = 0.3 * STEPS / max(warmup_steps, 1)
    for each in (rate, again):
        found = [float(each(tf.constant(step, tf.int64))) for step in STEPS]
        np.testing.assert_allclose(found, np.where(warmup_steps > STEPS, rising, after), atol=1e-6)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.flags")), ids=lambda path: path.stem)
def test_recipes_are_flags(path):
    kinds = {field.name: type(field.default) for field in dataclasses.fields(TrainingConfig)}
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    given = dict(line.removeprefix("--").split("=") for line in lines)
    config = TrainingConfig(**{name: kinds[name](value) for name, value in given.items()})
    assert config.network in networks.NETWORKS and config.momentum == 0.9
    drops = config.train_steps // config.decay_every
    assert 2 <= drops < 20 and config.schedule == "staircase"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"warmup_steps": 600}, "warmup_steps=600 must be at least 0 and less than"),
        ({"momentum": 1.0}, "momentum=1.0 must lie in"),
        ({"label_smoothing": 1.0}, "label_smoothing=1.0 must be a number below 1"),
        ({"label_smoothing": float("-inf")}, "label_smoothing=-inf must be a number below 1"),
        ({"logit_clip": -1.0}, "logit_clip=-1.0 must be a number of at least 0"),
        ({"logit_clip": float("nan")}, "logit_clip=nan must be a number of at least 0"),
        ({"ema_decay": 1.0}, "ema_decay=1.0 must lie in"),
        ({"decay_rate": 0.0}, "decay_rate=0.0 must lie in"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0 must be"),
        ({"decay_every": 0}, "decay_every=0 must lie in"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(InputError, match=message):
        TrainingConfig(**change)


def test_penalties_and_average_against_numpy():
    """Compares five steps of a linear network, with every penalty, to float64."""
    random = np.random.RandomState(0)
    images, labels = random.normal(size=(8, 5)).astype(np.float32), random.randint(3, size=8)
    network = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(3)])
    model = Vanilla(network, 3, label_smoothing=0.2, weight_decay=0.05, ema_decay=0.25)
    model.compile(keras.optimizers.SGD(0.4))
    kernel, bias = (weight.astype(np.float64) for weight in network.get_weights())
    averages = [kernel, bias]
    soft = 0.8 * np.eye(3)[labels] + 0.2 / 3
    for step in range(5):
        history = model.fit(images, labels, batch_size=8, shuffle=False, verbose=0).history
        logits = images @ kernel + bias
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        loss = oracles.cross_entropy(soft, logits).mean() + 0.05 * (kernel**2).sum()
        np.testing.assert_allclose(history["loss"], [loss], rtol=1e-5)
        kernel = kernel - 0.4 * (images.T @ (p - soft) / 8 + 0.1 * kernel)
        bias = bias - 0.4 * (p - soft).mean(axis=0)
        decay = min(0.25, (1 + step) / (10 + step))
        pairs = zip(averages, (kernel, bias), strict=True)
        averages = [decay * average + (1 - decay) * now for average, now in pairs]
    for found, expected in zip(network.get_weights(), (kernel, bias), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    with model.averaged():
        for found, expected in zip(network.get_weights(), averages, strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(network.get_weights()[0], kernel, atol=1e-5)


def test_batch_norm_and_biases_go_free_of_weight_decay():
    network = networks.build("small_cnn", (8, 8, 1), 10)
    model = Vanilla(network, 10, weight_decay=1.0)
    expected = sum(
        (layer.kernel.numpy().astype(np.float64) ** 2).sum()
        for layer in network.layers
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))
    )
    np.testing.assert_allclose(model.regularization(), expected, rtol=1e-5)


def test_the_backbone_has_a_learning_rate_of_its_own():
    """SGD with momentum, against NumPy: two layers with two rates, gradients of a linear loss."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [keras.layers.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(2)]
    )
    config = TrainingConfig(
        schedule="constant", learning_rate=0.1, backbone_learning_rate=0.02, momentum=0.9
    )
    optimizer = recipe.optimizer(config, recipe.learning_rate(config), network.layers[:1])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    for each in (optimizer, again):
        before = [weight.numpy() for weight in network.weights]
        gradients = [np.full(w.shape, 1.0 + i, np.float32) for i, w in enumerate(before)]
        for _ in range(3):
            each.apply([tf.constant(g) for g in gradients], network.trainable_variables)
        moved = 1.0 + (1.0 + 0.9) + (1.0 + 0.9 + 0.81)  # in units of a step without momentum
        for i, (weight, old) in enumerate(zip(network.weights, before, strict=True)):
            rate = 0.02 if i < 2 else 0.1
            np.testing.assert_allclose(weight, old - rate * moved * gradients[i], rtol=1e-4)


def test_without_one_the_optimizer_is_keras_sgd():
    optimizer = recipe.optimizer(TrainingConfig(), recipe.learning_rate(TrainingConfig()), [])
    assert type(optimizer) is keras.optimizers.SGD

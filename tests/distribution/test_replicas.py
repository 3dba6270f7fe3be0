"""Training is the same on any number of replicas and hosts, which run in separate processes."""

import functools
import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent


def free_ports(number):
    sockets = [socket.create_server(("", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start(output, strategy, replicas, jit, steps_per_execution, sam_rho=0.0, **environment):
    command = [sys.executable, "-m", "tests.distribution.replica_run", output, strategy]
    return subprocess.Popen(
        [str(part) for part in (*command, replicas, jit, steps_per_execution, sam_rho)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(*processes):
    for process in processes:
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The results of one device, without XLA, one step at a time, by SAM's ρ."""
    folder = tmp_path_factory.mktemp("alone")

    @functools.cache
    def results(sam_rho):
        output = folder / f"{sam_rho}.npz"
        finish(start(output, "cpu", 1, "plain", 1, sam_rho))
        return np.load(output)

    return results


@pytest.mark.parametrize(
    ("strategy", "replicas", "jit", "steps_per_execution", "sam_rho"),
    [
        ("mirrored", 2, "plain", 10, 0.0),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [
                ("cpu", 1, "jit", 10, 0.0),
                ("cpu", 1, "jit", 10, 0.2),
                ("mirrored", 2, "jit", 10, 0.0),
                ("mirrored", 2, "jit", 10, 0.2),
                ("mirrored", 4, "jit", 1, 0.0),
                ("mirrored", 4, "plain", 10, 0.0),
                ("multi_worker", 2, "plain", 1, 0.0),
                ("multi_worker", 2, "jit", 10, 0.2),
            ]
        ),
    ],
)
def test_same_loss_gamma_v_and_weights(
    tmp_path, alone, strategy, replicas, jit, steps_per_execution, sam_rho
):
    arguments = (tmp_path / "out.npz", strategy, replicas, jit, steps_per_execution, sam_rho)
    if strategy == "multi_worker":
        workers = [f"localhost:{port}" for port in free_ports(replicas)]
        finish(
            *(
                start(
                    *arguments,
                    TF_CONFIG=json.dumps(
                        {"cluster": {"worker": workers}, "task": {"type": "worker", "index": i}}
                    ),
                )
                for i in range(replicas)
            )
        )
    else:
        finish(start(*arguments))
    shared = np.load(tmp_path / "out.npz")
    assert shared["logs"].shape == (20 // steps_per_execution, 4)
    alone = alone(sam_rho)
    expected = alone["logs"][steps_per_execution - 1 :: steps_per_execution]
    np.testing.assert_allclose(shared["logs"], expected, atol=1e-5)
    np.testing.assert_allclose(shared["gammas"], alone["gammas"], atol=1e-5)
    np.testing.assert_allclose(shared["weights"], alone["weights"], atol=1e-5)


TWO_REPLICAS = """
import keras, numpy as np, tensorflow as tf
from mentormix_tf import InputError, MentorMix, Vanilla
from mentormix_tf.config import StrategyConfig
from mentormix_tf.distribution import strategies

strategy = strategies.get(StrategyConfig(strategy="mirrored", num_virtual_devices=2))
random = np.random.RandomState(0)
images, labels = random.normal(size=(8, 7)).astype(np.float32), random.randint(4, size=8)


def compiled(method, layers, optimizer=None, **arguments):
    with strategy.scope():
        network = keras.Sequential([keras.layers.Input((7,)), *layers, keras.layers.Dense(4)])
        model = method(network, 4, **arguments)
        model.compile(optimizer or keras.optimizers.SGD(0.5), weighted_metrics=["accuracy"])
    return model


def copies(variable):
    return [copy.numpy() for copy in strategy.experimental_local_results(variable.value)]


def refused(words, function, *arguments, **keywords):
    try:
        function(*arguments, **keywords)
    except InputError as error:
        assert words in str(error), error
    else:
        raise AssertionError(f"not refused: {words}")

"""

STATE = """
with strategy.scope():
    dropout = keras.layers.Dropout(0.5)
norm = keras.layers.BatchNormalization(momentum=0.9)
frozen = keras.layers.BatchNormalization(trainable=False)
model = compiled(MentorMix, [norm, frozen, dropout], alpha=0.0)
model.fit(images, labels, batch_size=8, shuffle=False, verbose=0)

# Moving statistics: the mean of what each replica's half of the batch makes of them.
for moving, start, of_half in [
    (norm.moving_mean, 0.0, lambda half: half.mean(axis=0)),
    (norm.moving_variance, 1.0, lambda half: half.var(axis=0)),
]:
    half = np.mean([of_half(images[:4]), of_half(images[4:])], axis=0)
    for copy in copies(moving):
        np.testing.assert_allclose(copy, 0.9 * start + 0.1 * half, atol=1e-6)
assert all((copy == 0).all() for copy in copies(frozen.moving_mean))

# Seeds of the method and of layers differ between replicas and between steps.
[state] = [v for v in model.network.variables if v.name == "seed_generator_state"]
seeds = [tuple(copy) for copy in copies(state)]
model.fit(images, labels, batch_size=8, shuffle=False, verbose=0)
seeds += [tuple(copy) for copy in copies(state)]
assert len(set(seeds)) == 4, seeds
seeds = strategy.experimental_local_results(strategy.run(model.step_seed))
assert len({tuple(seed.numpy()) for seed in seeds}) == 2

refused("on one replica only", model.train_on_batch, images, labels)

refused("fewer examples than there are replicas", model.fit, images[:5], labels[:5], batch_size=4)
"""

UNEVEN = """
# A batch of five on two replicas: each example has the same weight.
model = compiled(Vanilla, [])
for run_eagerly in (False, True):
    model.run_eagerly = run_eagerly
    model.make_train_function(force=True)
    kernel, bias = (weight.astype(np.float64) for weight in model.network.get_weights())
    model.fit(images[:5], labels[:5], batch_size=5, shuffle=False, verbose=0)
    logits = images[:5] @ kernel + bias
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gradient = images[:5].T @ (p - np.eye(4)[labels[:5]]) / 5
    np.testing.assert_allclose(model.network.get_weights()[0], kernel - 0.5 * gradient, atol=1e-6)
model.run_eagerly = False

# Evaluation counts each example once, whatever the size of the last batch.
logits = images[:7] @ model.network.get_weights()[0] + model.network.get_weights()[1]
for steps_per_execution in (1, 10):
    model.steps_per_execution = steps_per_execution
    model.make_test_function(force=True)
    result = model.evaluate(images[:7], labels[:7], batch_size=4, verbose=0, return_dict=True)
    assert abs(result["accuracy"] - np.mean(logits.argmax(axis=1) == labels[:7])) < 1e-6
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(7), labels[:7]]
    assert abs(result["loss"] - losses.mean()) < 1e-5

# What Keras's optimizers get wrong.
SGD = keras.optimizers.SGD
for words, optimizer in [
    ("bfloat16", lambda: keras.optimizers.LossScaleOptimizer(SGD())),
    ("gradient_accumulation_steps=2", lambda: SGD(gradient_accumulation_steps=2)),
    ("ema_overwrite_frequency=5", lambda: SGD(use_ema=True, ema_overwrite_frequency=5)),
]:
    with strategy.scope():
        model.compile(optimizer())
    refused(words, model.fit, images, labels, verbose=0)
"""


@pytest.mark.parametrize(
    "script", [pytest.param(STATE, marks=pytest.mark.slow), UNEVEN], ids=["state", "uneven"]
)
def test_two_replicas(script):
    command = [sys.executable, "-c", TWO_REPLICAS + script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

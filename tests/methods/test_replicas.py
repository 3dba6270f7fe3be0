"""MentorMix on two replicas, in a process of its own: one γ, from the global batch."""

import pathlib
import subprocess
import sys

SCRIPT = """
import keras, numpy as np, tensorflow as tf
import mentormix_tf
from tests import oracles

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
random = np.random.RandomState(0)
images = random.normal(size=(16, 7)).astype(np.float32)
labels = random.randint(4, size=16)
with strategy.scope():
    network = keras.Sequential([keras.layers.Input((7,)), keras.layers.Dense(4, use_bias=False)])
    model = mentormix_tf.MentorMix(network, 4, gamma_p=0.6, alpha=2.0, burn_in=0.0)
    model.compile(keras.optimizers.SGD(0.0))
weights = network.get_weights()[0].astype(np.float64)
oracle = oracles.Mentor(0.6, 0.5, "nearest", 0.0)
losses = oracles.cross_entropy(np.eye(4)[labels], images @ weights)

seeds = strategy.run(model.step_seed)
assert len({tuple(seed.numpy()) for seed in strategy.experimental_local_results(seeds)}) == 2

data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)
history = model.fit(data, epochs=3, verbose=0, shuffle=False).history
for epoch in range(3):
    v = oracle(losses, 1.0)
    np.testing.assert_allclose(history["gamma"][epoch], oracle.gamma, atol=1e-5)
    np.testing.assert_allclose(history["mean_v"][epoch], v.mean(), atol=1e-5)
for copy in strategy.experimental_local_results(model.mentor.gamma.value):
    np.testing.assert_allclose(copy, oracle.gamma, atol=1e-5)
print("agreed")
"""


def test_gamma_is_of_the_global_batch():
    root = pathlib.Path(__file__).parent.parent.parent
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert "agreed" in done.stdout, done.stderr

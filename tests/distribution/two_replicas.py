"""Trains methods on one replica and on two, and prints the names of those with equal results.

    python -m tests.distribution.two_replicas METHOD[+sam] ...

Partners and λ are fixed: partners are otherwise drawn within a replica, so that the number of
replicas would change them. So are dropped features, by a rate of 0.
"""

import sys

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf import methods, mixing

STEPS, BATCH_SIZE = 10, 16

# Values that would hide a wrong sum, or have no effect within ten steps, are replaced.
HYPERPARAMETERS = {
    "weight_decay": dict(l2=0.1),
    "dropout": dict(dropout_rate=0.0),
    "dynamic_bootstrap": dict(loss_memory=64, class_balance=0.0),
    "data_parameters": dict(temperatures="both", temperature_learning_rate=2.0),
    "o2u": dict(burn_in=0.2, cycling=0.4),
    "elr": dict(beta=0.5),
    "mentormix": dict(second_reweight=True, mentor="mentornet_pd"),
}


def train(name):
    """The names and values of a method's variables after ten steps, and its loss."""
    random = np.random.RandomState(0)
    columns = {
        "image": random.normal(size=(STEPS, BATCH_SIZE, 7)).astype(np.float32),
        "label": random.randint(4, size=(STEPS, BATCH_SIZE)),
        "index": random.randint(40, size=(STEPS, BATCH_SIZE)),
    }
    data = tf.data.Dataset.from_tensor_slices(columns).unbatch().batch(BATCH_SIZE, True)
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.layers.Input((7,)), keras.layers.Dense(4)])
    name, _, sam = name.partition("+")
    rho = 0.5 if sam else 0.0
    model = methods.build(name, network, 4, 40, sam_rho=rho, **HYPERPARAMETERS.get(name, {}))
    model.compile(keras.optimizers.SGD(0.3, momentum=0.9))
    losses = model.fit(data, verbose=0, shuffle=False).history["loss"]
    kept = [v for v in model.variables if "seed_generator" not in v.path]
    return [(v.name, v.numpy()) for v in kept] + [("loss", losses)]


def main(names):
    mixing.sample_partners = lambda probabilities, seed: tf.bitwise.bitwise_xor(
        tf.range(tf.size(probabilities)), 3
    )
    mixing.sample_beta = lambda shape, alpha, seed: tf.fill(shape, 0.7)
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for name in names:
        one = train(name)
        with strategy.scope():
            two = train(name)
        for (variable, value), (_, other) in zip(one, two, strict=True):
            np.testing.assert_allclose(other, value, rtol=1e-4, atol=1e-5, err_msg=variable)
        print(name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

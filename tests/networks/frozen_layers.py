"""Trains the head of a network by a method, on one replica and on two.

    python -m tests.networks.frozen_layers METHOD

For each, prints the number of replicas, "frozen" if all values of frozen layers are what they were,
and "trained" if those of the head are not.
"""

import contextlib
import sys

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from mentormix_tf import methods
from mentormix_tf.networks import trained_layers

STEPS, BATCH_SIZE = 4, 16


def train(method):
    """The values of the backbone and of the head, before and after training."""
    random = np.random.RandomState(0)
    columns = {
        "image": random.normal(size=(STEPS * BATCH_SIZE, 8, 8, 1)).astype(np.float32),
        "label": random.randint(4, size=STEPS * BATCH_SIZE),
        "index": np.arange(STEPS * BATCH_SIZE),
    }
    inner = [layers.Input((8, 8, 1)), layers.Conv2D(4, 3), layers.BatchNormalization()]
    backbone = keras.Sequential([*inner, layers.ReLU(), layers.Dropout(0.5)])
    stack = [layers.Input((8, 8, 1)), backbone, layers.Flatten(), layers.Dense(4)]
    network = keras.Sequential(stack)
    trained_layers.freeze_all_but(network, "head")
    model = methods.build(method, network, 4, len(columns["label"]), weight_decay=0.1)
    model.compile(keras.optimizers.SGD(0.3, momentum=0.9))
    parts = [part.weights for part in (*trained_layers.backbone(network), network.layers[-1])]

    def values():
        return [[weight.numpy() for weight in weights] for weights in parts]

    before = values()
    data = tf.data.Dataset.from_tensor_slices(columns).batch(BATCH_SIZE, True)
    model.fit(data, epochs=2, verbose=0)
    return before, values()


def main(method):
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for replicas, scope in ((1, contextlib.nullcontext()), (2, two.scope())):
        with scope:
            before, after = train(method)
        same = [all(map(np.array_equal, *pair)) for pair in zip(before, after, strict=True)]
        print(replicas, "frozen" if all(same[:-1]) else "", "" if same[-1] else "trained")


if __name__ == "__main__":
    main(*sys.argv[1:])

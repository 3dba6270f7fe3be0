"""The internals that `keras_internals` relies on: each test fails if Keras changes them."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from mentormix_tf.distribution import keras_internals

ROOT = pathlib.Path(__file__).parent.parent.parent


def ids(values):
    return sorted(id(value) for value in values)


def test_flatten_layers_finds_nested_layers_once():
    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense, self.list = layers.Dense(2), [layers.ReLU(), layers.Dropout(0.5)]

    shared, block = layers.Dense(3), Block()
    inner = keras.Sequential([shared, block])
    outer = keras.Sequential([inner, shared])
    expected = [outer, inner, shared, block, block.dense, *block.list]
    assert ids(keras_internals.flatten_layers(outer)) == ids(expected)


def test_seed_states_are_those_of_the_layers_that_draw():
    drawing = [layers.Dropout(0.5), layers.GaussianNoise(1.0), layers.SpatialDropout2D(0.5)]
    network = keras.Sequential(
        [
            layers.Input((4, 4, 2)),
            layers.Conv2D(8, 3),
            layers.BatchNormalization(),
            drawing[0],
            keras.Sequential([drawing[1], keras.Sequential([drawing[2]])]),
            layers.Flatten(),
        ]
    )
    states = keras_internals.seed_states(network)
    assert ids(states) == ids(layer.seed_generator.state for layer in drawing)

    def draw(seed):
        for state in states:
            state.assign(tf.cast([seed, 0], state.dtype))
        return network(np.ones((1, 4, 4, 2)), training=True).numpy()

    np.testing.assert_array_equal(draw(1), draw(1))
    assert (draw(1) != draw(2)).any()


def test_kernels_are_those_of_convolutions_and_dense_layers():
    conv, depthwise, separable = (
        layers.Conv2D(4, 3),
        layers.DepthwiseConv2D(3),
        layers.SeparableConv2D(4, 3),
    )
    dense, frozen = layers.Dense(5), layers.Dense(5, trainable=False)
    norms = [layers.BatchNormalization(), layers.LayerNormalization(), layers.PReLU()]
    network = keras.Sequential(
        [
            layers.Input((9, 9, 3)),
            keras.Sequential([conv, depthwise, separable]),
            *norms,
            layers.Flatten(),
            dense,
            frozen,
        ]
    )
    expected = [
        conv.kernel,
        depthwise.kernel,
        separable.depthwise_kernel,
        separable.pointwise_kernel,
        dense.kernel,
    ]
    assert ids(keras_internals.kernels(network)) == ids(expected)


@pytest.mark.parametrize(
    ("name", "value", "others"),
    [
        ("clipnorm", 0.5, {}),
        ("global_clipnorm", 0.5, {}),
        ("clipvalue", 0.5, {}),
        ("gradient_accumulation_steps", 2, {}),
        ("ema_overwrite_frequency", 5, {"use_ema": True}),
    ],
)
def test_optimizer_argument(name, value, others):
    made_with = keras.optimizers.SGD(**{name: value}, **others)
    assert keras_internals.optimizer_argument(made_with, name) == value
    assert not keras_internals.optimizer_argument(keras.optimizers.SGD(), name)


def test_build_for_creates_all_variables_and_runs_nothing():
    class Model(keras_internals.BuildableModel):
        def __init__(self):
            super().__init__()
            self.dense, self.norm = layers.Dense(4), layers.BatchNormalization()

        def call(self, inputs):
            return self.norm(self.dense(inputs))

    model = Model()
    model.compile(
        keras.optimizers.SGD(0.5, momentum=0.9),
        "sparse_categorical_crossentropy",
        weighted_metrics=["accuracy"],
    )
    # A sum and a count: at first of the loss alone.
    assert not model.weights and len(model.metrics_variables) == 2
    model.build_for((tf.TensorSpec([None, 7]), tf.TensorSpec([None], tf.int64)))
    momenta = [v for v in model.optimizer.variables if v.shape == model.dense.kernel.shape]
    assert model.dense.kernel.shape == (7, 4) and len(momenta) == 1
    assert len(model.metrics_variables) == 4
    assert int(model.optimizer.iterations.numpy()) == 0
    np.testing.assert_array_equal(model.norm.moving_mean, np.zeros(4))
    variables = ids(model.variables + model.metrics_variables + model.optimizer.variables)
    model.fit(np.zeros((4, 7)), np.zeros(4), verbose=0)
    assert ids(model.variables + model.metrics_variables + model.optimizer.variables) == variables


TWO_REPLICAS = """
import keras, numpy as np, tensorflow as tf
from mentormix_tf.distribution import keras_internals

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


reduce = strategy.reduce


def reduce_as_several_workers(op, *args, **kwargs):
    assert op not in ("MEAN", tf.distribute.ReduceOp.MEAN), "several workers can't do that"
    return reduce(op, *args, **kwargs)


class Built(Exception):
    pass


class Model(keras_internals.BuildableModel):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(4)

    def call(self, inputs):
        return self.dense(inputs)

    def make_train_function(self):
        raise Built  # comes next in `fit`


with strategy.scope():
    model = Model()
    model.compile("adam", "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
strategy.reduce = reduce_as_several_workers
assert not model._is_ready()
try:
    model.fit(np.zeros((8, 7)), np.zeros(8), batch_size=8, verbose=0)
except Built:
    assert model._is_ready() and len(model.metrics_variables) == 4
else:
    raise AssertionError("fit did not ask for a train function")
"""


def test_fit_on_replicas_builds_from_the_batch_of_one_replica():
    command = [sys.executable, "-c", TWO_REPLICAS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("rate", [0.1, keras.optimizers.schedules.CosineDecay(0.1, 10)])
def test_slots_are_what_an_optimizer_keeps_for_its_variables(rate):
    weights = [keras.Variable(np.zeros([2, 3])), keras.Variable(np.zeros(4))]
    optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    optimizer.build(weights)
    assert [tuple(slot.shape) for slot in keras_internals.slots(optimizer)] == [(2, 3), (4,)]
    plain = keras.optimizers.SGD(rate)
    plain.build(weights)
    assert keras_internals.slots(plain) == []

"""Example tables against NumPy; a step touches only the rows of its batch."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import methods
from mentormix_tf.methods.example_table import ExampleTable, sum_by_example

ROOT = pathlib.Path(__file__).parent.parent.parent
NUM_EXAMPLES = 1009  # unlike any other size in a step


@pytest.mark.parametrize("shape", [(), (3,)])
def test_sum_by_example(shape):
    random = np.random.RandomState(0)
    index = random.randint(-2, 12, size=32)
    rows = random.normal(size=(32, *shape)).astype(np.float32)
    expected = [rows[index == i].astype(np.float64).sum(axis=0) for i in index]
    found = sum_by_example(tf.constant(index), tf.constant(rows))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_rows_out_of_range_alone_change_nothing():
    table = ExampleTable(keras.Model(), "table", 3)
    index = tf.constant([-1, 3], tf.int64)
    table.assign(index, tf.constant([5.0, 6.0]))
    table.add(index, tf.constant([5.0, 6.0]))
    np.testing.assert_array_equal(table.variable, np.zeros(3))


@pytest.mark.slow
def test_a_table_agrees_with_numpy_with_xla_and_on_two_replicas():
    command = [sys.executable, "-m", "tests.methods.example_table_run"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["plain", "jit", "replicas"]


def train_step_graph(name):
    """The graph of a method's train step, for a training set of NUM_EXAMPLES."""
    network = keras.Sequential([keras.layers.Input((7,)), keras.layers.Dense(4)])
    chosen = dict(temperatures="both") if name == "data_parameters" else {}
    chosen |= dict(audit_examples=NUM_EXAMPLES) if name == "mentormix" else {}
    model = methods.build(name, network, 4, NUM_EXAMPLES, **chosen)
    model.compile(keras.optimizers.SGD(0.1))
    spec = {
        "image": tf.TensorSpec([16, 7], tf.float32),
        "label": tf.TensorSpec([16], tf.int64),
        "index": tf.TensorSpec([16], tf.int64),
    }
    model.build_for(spec)
    return tf.function(model.train_step).get_concrete_function(spec).graph


def sized_by_examples(graph):
    """The operations of a graph with an output as long as the training set."""
    return [
        operation.name
        for operation in graph.get_operations()
        for output in operation.outputs
        if output.shape.rank and output.shape[0] == NUM_EXAMPLES
    ]


@pytest.mark.parametrize("name", ["data_parameters", "o2u", "elr", "mentormix"])
def test_a_step_makes_nothing_as_long_as_the_training_set(name):
    graph = train_step_graph(name)
    assert not sized_by_examples(graph)
    # O2U-Net sorts all examples in one branch, which is taken once in a training.
    branches = [op.get_attr("then_branch").name for op in graph.get_operations() if "If" in op.type]
    assert len(branches) == (name == "o2u")
    functions = {f.signature.name: f for f in graph.as_graph_def().library.function}
    for branch in branches:
        assert "TopKV2" in {node.op for node in functions[branch].node_def}


def test_o2u_forgets_the_records_of_an_earlier_training():
    model = methods.build(
        "o2u", keras.Sequential([keras.layers.Input((7,)), keras.layers.Dense(4)]), 4, 16
    )
    model.compile(keras.optimizers.SGD(0.1))
    random = np.random.RandomState(0)
    columns = {
        "image": random.normal(size=(16, 7)).astype(np.float32),
        "label": random.randint(4, size=16),
        "index": np.arange(16),
    }
    data = tf.data.Dataset.from_tensor_slices(columns).batch(8)
    for _ in range(2):
        model.fit(data, epochs=10, verbose=0)
        # Of 20 steps, 7 to 13 are in stage 2: each of two batches comes three or four times.
        assert set(model.loss_counts.variable.numpy()) == {3.0, 4.0}
    model.begin_training(train_steps=40, first_step=20)  # half of them are done
    assert set(model.loss_counts.variable.numpy()) == {3.0, 4.0}

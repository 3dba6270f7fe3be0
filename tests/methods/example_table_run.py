"""Updates an `ExampleTable` with and without XLA, and on two replicas, and compares with NumPy.

    python -m tests.methods.example_table_run

Prints plain, jit and replicas, each when it agrees.
"""

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf.distribution import replicas
from mentormix_tf.methods.example_table import ExampleTable

NUM_EXAMPLES, STEPS, BATCH_SIZE, COLUMNS = 12, 6, 8, 3


def in_range(index):
    return (index >= 0) & (index < NUM_EXAMPLES)


def expected(batches):
    """The table after each batch, and what each batch looks up, by NumPy in float64."""
    table, tables, found = np.zeros([NUM_EXAMPLES, COLUMNS]), [], []
    for index, rows in batches:
        there = np.where(in_range(index), index, 0)
        found.append(np.where(in_range(index)[:, None], table[there], np.nan))
        for i, row in zip(index, rows, strict=True):
            if 0 <= i < NUM_EXAMPLES:
                table[i] += row
        for i in index[in_range(index)]:
            if i % 3 == 0:
                table[i] = -i
        tables.append(table.copy())
    return tables, found


def updater(table):
    """A step on one replica's part of a batch, which returns the rows that all replicas look up."""

    def step(index, rows):
        found = replicas.gather(table.look_up(index))
        index, rows = replicas.gather(index), replicas.gather(rows)
        table.add(index, rows)
        third = index % 3 == 0
        values = tf.repeat(-tf.cast(index, tf.float32)[:, None], COLUMNS, axis=1)
        table.assign(tf.where(third, index, -1), values)
        return found

    return step


def check(table, run, copies):
    """Runs all batches and compares the table's copies after each."""
    random = np.random.RandomState(0)
    batches = [
        (
            random.randint(-2, NUM_EXAMPLES + 2, size=BATCH_SIZE),
            random.normal(size=(BATCH_SIZE, COLUMNS)).astype(np.float32),
        )
        for _ in range(STEPS)
    ]
    assert all(len(set(index)) < BATCH_SIZE for index, _ in batches)  # some occur twice
    for (index, rows), after, found in zip(batches, *expected(batches), strict=True):
        np.testing.assert_allclose(run(index, rows), found, rtol=1e-5, atol=1e-6)
        for copy in copies(table.variable.value):
            np.testing.assert_allclose(copy, after, rtol=1e-5, atol=1e-6)


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    for jit_compile in (False, True):
        table = ExampleTable(keras.Model(), "table", NUM_EXAMPLES, (COLUMNS,))
        step = tf.function(updater(table), jit_compile=jit_compile)
        check(table, lambda *batch, step=step: step(*map(tf.constant, batch)), lambda v: [v])
        print("jit" if jit_compile else "plain", flush=True)

    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        table = ExampleTable(keras.Model(), "table", NUM_EXAMPLES, (COLUMNS,))
    step = tf.function(lambda index, rows: strategy.run(updater(table), args=(index, rows)))

    def run(*batch):
        half = BATCH_SIZE // 2
        parts = [
            strategy.experimental_distribute_values_from_function(
                lambda context, values=values: tf.constant(
                    values[half * context.replica_id_in_sync_group :][:half]
                )
            )
            for values in batch
        ]
        found = strategy.experimental_local_results(step(*parts))
        np.testing.assert_array_equal(*found)
        return found[0]

    check(table, run, strategy.experimental_local_results)
    print("replicas")


if __name__ == "__main__":
    main()

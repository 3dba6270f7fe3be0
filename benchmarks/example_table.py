"""Measures the cost of a training step with few and with many training examples.

    python -m benchmarks.example_table

A small network and batches of 128 on one device. The last column should be 1: the cost of a step
should depend on its batch, not on the size of the training set.
"""

import statistics
import time

import keras
import numpy as np

from benchmarks import training_step
from mentormix_tf import methods

BATCH_SIZE, FEATURES, CLASSES = 128, 64, 10
FEW, MANY = 10_000, 2_400_000  # training examples
TIMED = 40  # steps


def stepper(method, num_examples, jit_compile):
    """A function that takes one training step and waits for it."""
    layers = [keras.layers.Input((FEATURES,)), keras.layers.Dense(64, activation="relu")]
    network = keras.Sequential([*layers, keras.layers.Dense(CLASSES)])
    model = methods.build(method, network, CLASSES, num_examples)
    model.compile(keras.optimizers.SGD(0.1), jit_compile=jit_compile)
    random = np.random.RandomState(0)
    columns = {
        "image": random.normal(size=(16, BATCH_SIZE, FEATURES)).astype(np.float32),
        "label": random.randint(CLASSES, size=(16, BATCH_SIZE)),
        "index": random.randint(num_examples, size=(16, BATCH_SIZE)),
    }
    return training_step.stepper(model, columns)


def milliseconds(steps, count):
    """The median time of each stepper's steps, in milliseconds; the steppers take turns."""
    times = [[] for _ in steps]
    for _ in range(count):
        for step, taken in zip(steps, times, strict=True):
            started = time.perf_counter()
            step()
            taken.append(1e3 * (time.perf_counter() - started))
    return [statistics.median(each) for each in times]


def main():
    """Prints a row for each method, with and without XLA."""
    few, many = f"{FEW:,} examples", f"{MANY:,} examples"
    print(f"{'method':<16} {'XLA':<4} {few:>18} {many:>18} {'ratio':>6}")
    for method in ("vanilla", "data_parameters", "o2u"):
        for jit_compile in (False, True):
            steps = [stepper(method, n, jit_compile) for n in (FEW, MANY)]
            few, many = milliseconds(steps, TIMED)
            xla = "yes" if jit_compile else "no"
            row = f"{method:<16} {xla:<4} {few:>15.2f} ms {many:>15.2f} ms {many / few:>6.2f}"
            print(row, flush=True)


if __name__ == "__main__":
    main()

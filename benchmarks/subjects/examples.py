"""A step with few and with many training examples, for methods that keep a value of each.

The ratio should be 1: the cost of a step should depend on its batch, not on the training set.
"""

import keras

from benchmarks import harness, steps
from benchmarks.harness import Measurement, Size

__all__ = ["measure"]

FEW, MANY, FEATURES = 10_000, 2_400_000, 64


def network():
    layers = [keras.layers.Input((FEATURES,)), keras.layers.Dense(64, activation="relu")]
    return keras.Sequential([*layers, keras.layers.Dense(10)])


def measure(size: Size) -> list[Measurement]:
    """Measures each method with few and with many examples."""
    found = []
    many = 10 * FEW if size.is_quick else MANY
    for method in ("vanilla",) if size.is_quick else ("vanilla", "data_parameters", "o2u"):
        made = {}
        for count in (FEW, many):
            data = steps.columns(128, (FEATURES,), num_examples=count)
            for audit in (False, True):
                name = f"{count:,} examples{', audit' if audit else ''}"
                model = steps.build(method, network(), num_examples=count, audit=audit)
                made[name] = steps.stepper(model, data)
        found += harness.summary(harness.alternate(made, 2 * size.repetitions), method)
    return found

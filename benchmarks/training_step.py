"""A training step as a function, for benchmarks."""

import statistics
import time
from collections.abc import Callable

import tensorflow as tf

__all__ = ["ratios", "stepper"]

_STEP = 500_000  # in a training of twice as many: O2U-Net then records losses at each step
_WARM_UP = 5  # steps
_TIMED = 60  # steps


def stepper(model, columns) -> Callable[[], float]:
    """A function that takes one training step, waits for it and returns the loss.

    Args:
        model: a `NoisyLabelModel`, compiled.
        columns: batches as arrays `[batches, batch, ...]` by column, which are repeated.
    """
    batches = tf.data.Dataset.from_tensor_slices(columns).repeat()
    model.build_for(batches.element_spec)
    model.train_steps.assign(2 * _STEP)
    model.step.assign(_STEP)
    advance, iterator = model.make_training_loop(), iter(batches)

    def step():
        logs, _ = advance(iterator)
        return float(logs["loss"])

    for _ in range(_WARM_UP):  # compiles, too
        step()
    return step


def ratios(one: Callable[[], float], other: Callable[[], float]) -> tuple[float, float]:
    """Times two steps that take turns.

    Args:
        one: a function that takes a step.
        other: another.

    Returns:
        Median processor time and wall time of `other`, divided by those of `one`.
    """
    times = {step: ([], []) for step in (one, other)}
    for _ in range(_TIMED):
        for step, (processor, wall) in times.items():
            started, began = time.process_time(), time.perf_counter()
            step()
            processor.append(time.process_time() - started)
            wall.append(time.perf_counter() - began)
    before, after = ([statistics.median(taken) for taken in times[step]] for step in (one, other))
    return after[0] / before[0], after[1] / before[1]

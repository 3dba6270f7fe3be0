"""A training step as a function, for benchmarks."""

from collections.abc import Callable

import tensorflow as tf

__all__ = ["stepper"]

_STEP = 500_000  # in a training of twice as many: O2U-Net then records losses at each step
_WARM_UP = 5  # steps


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

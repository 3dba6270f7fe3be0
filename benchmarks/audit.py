"""Measures what recording statistics for an audit (--audit) costs a training step.

    python -m benchmarks.audit

The default network, small_cnn, on images of 32 x 32 pixels and batches of 128, on one device. Steps
with and without statistics take turns; ratios of their median processor and wall times.
"""

import keras
import numpy as np

from benchmarks import training_step
from mentormix_tf import methods, networks

BATCH_SIZE, SHAPE, CLASSES = 128, (32, 32, 3), 10
EXAMPLES = (50_000, 2_400_000)  # in the training set


def stepper(method, audit_examples):
    """A function that takes one training step and waits for it."""
    model = methods.build(
        method,
        networks.build("small_cnn", SHAPE, CLASSES),
        CLASSES,
        max(EXAMPLES),
        audit_examples=audit_examples,
    )
    model.compile(keras.optimizers.SGD(0.01))
    random = np.random.RandomState(0)
    columns = {
        "image": random.uniform(0, 255, size=(8, BATCH_SIZE, *SHAPE)).astype(np.float32),
        "label": random.randint(CLASSES, size=(8, BATCH_SIZE)),
        "index": random.randint(audit_examples or max(EXAMPLES), size=(8, BATCH_SIZE)),
    }
    return training_step.stepper(model, columns)


def main():
    print(f"{'method':<12}{'examples':>12}{'processor':>12}{'wall':>8}")
    for method in ("vanilla", "mentormix"):
        plain = stepper(method, 0)
        for examples in EXAMPLES:
            processor, wall = training_step.ratios(plain, stepper(method, examples))
            print(f"{method:<12}{examples:>12,}{processor:>12.3f}{wall:>8.3f}", flush=True)


if __name__ == "__main__":
    main()

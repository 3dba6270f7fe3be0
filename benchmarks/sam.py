"""Measures what sharpness-aware minimization (--sam_rho) costs a training step.

    python -m benchmarks.sam

On images of 32 x 32 pixels and batches of 128, on one device: steps with SAM and a method's plain
steps take turns, and so do those with SAM and vanilla's. Ratios of their median processor and wall
times.
"""

import keras
import numpy as np

from benchmarks import training_step
from mentormix_tf import methods, networks

BATCH_SIZE, SHAPE, CLASSES = 128, (32, 32, 3), 10
NETWORKS = ("small_cnn", "resnet32_thin")


def stepper(network, method, sam_rho):
    """A function that takes one training step and waits for it."""
    built = networks.build(network, SHAPE, CLASSES)
    model = methods.build(method, built, CLASSES, 0, sam_rho=sam_rho)
    model.compile(keras.optimizers.SGD(0.01))
    random = np.random.RandomState(0)
    columns = {
        "image": random.uniform(0, 255, size=(8, BATCH_SIZE, *SHAPE)).astype(np.float32),
        "label": random.randint(CLASSES, size=(8, BATCH_SIZE)),
    }
    return training_step.stepper(model, columns)


def main():
    print(f"{'network':<16}{'SAM with':<12}{'in steps of':<12}{'processor':>12}{'wall':>8}")
    for network in NETWORKS:
        vanilla = stepper(network, "vanilla", 0.0)
        for method in ("vanilla", "mentormix"):
            with_sam = stepper(network, method, 0.1)
            plain = {"vanilla": vanilla}
            if method not in plain:
                plain[method] = stepper(network, method, 0.0)
            for name, step in plain.items():
                processor, wall = training_step.ratios(step, with_sam)
                row = f"{network:<16}{method:<12}{name:<12}{processor:>12.3f}{wall:>8.3f}"
                print(row, flush=True)


if __name__ == "__main__":
    main()

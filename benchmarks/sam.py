"""Measures what sharpness-aware minimization (--sam_rho) costs a training step.

    python -m benchmarks.sam

The default network, small_cnn, on images of 32 x 32 pixels and batches of 128, on one device. A
method's steps with SAM and vanilla's without take turns; ratios of their median processor and wall
times.
"""

import keras
import numpy as np

from benchmarks import training_step
from mentormix_tf import methods, networks

BATCH_SIZE, SHAPE, CLASSES = 128, (32, 32, 3), 10


def stepper(method, sam_rho):
    """A function that takes one training step and waits for it."""
    network = networks.build("small_cnn", SHAPE, CLASSES)
    model = methods.build(method, network, CLASSES, 0, sam_rho=sam_rho)
    model.compile(keras.optimizers.SGD(0.01))
    random = np.random.RandomState(0)
    columns = {
        "image": random.uniform(0, 255, size=(8, BATCH_SIZE, *SHAPE)).astype(np.float32),
        "label": random.randint(CLASSES, size=(8, BATCH_SIZE)),
    }
    return training_step.stepper(model, columns)


def main():
    print(f"{'method':<12}{'processor':>12}{'wall':>8}")
    vanilla = stepper("vanilla", 0.0)
    for method in ("vanilla", "mentormix"):
        processor, wall = training_step.ratios(vanilla, stepper(method, 0.1))
        print(f"{method:<12}{processor:>12.3f}{wall:>8.3f}", flush=True)


if __name__ == "__main__":
    main()

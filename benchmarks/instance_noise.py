"""Measures what noise that depends on the image takes: processor time and memory.

    python -m benchmarks.instance_noise PICTURES CLASSES

Random pictures of 32 x 32 pixels, which are made one at a time.
"""

import resource
import sys
import time

import numpy as np

from mentormix_tf.data.instance_noise import SIDE, instance_dependent


def pictures(count):
    random = np.random.RandomState(0)
    for _ in range(count):
        yield random.randint(256, size=(SIDE, SIDE, 3), dtype=np.uint8)


def main(count, num_classes):
    labels = np.random.RandomState(1).randint(num_classes, size=count)
    began = time.process_time()
    noisy = instance_dependent(pictures(count), labels, num_classes, 0.4, seed=0)
    taken = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{count:,} pictures, {num_classes} classes: {taken:.1f} s of processor time, "
        f"{peak:.2f} GB at most, {np.mean(noisy != labels):.4f} wrong"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

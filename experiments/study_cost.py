"""What a study of the paper's size would cost on GPUs: arithmetic from measured speeds.

    python -m experiments.study_cost docs/results/studies/paper_size.csv

2 data sets x 2 noises x 10 levels x 8 methods, from scratch and fine-tuned, one seed. A run's time
is its multiplications and additions, divided by what one H200 sustained in training steps of other
networks (docs/distributed.md, On one GPU). Runs start in the study's order, each on a GPU of its
own, as soon as one is free.
"""

import heapq
import itertools
import sys

import keras

from mentormix_tf import files, networks

# Steps of the shipped flagfiles, from scratch and fine-tuned.
STEPS = {"mini_imagenet": (160_000, 20_000), "stanford_cars": (50_000, 20_000)}
BATCH = 64
# Passes through the network, where the backward pass counts as two: MentorMix's first.
PASSES = (4, 3, 3, 3, 3, 3, 3, 3)
# TFLOP/s: preact_resnet18 in bfloat16 with batches of 128, and resnet32 with batches of 1,024.
SPEEDS = (120, 425)
GPUS = (1, 8, 64, 512)


def operations(network: keras.Model) -> int:
    """Multiplications and additions of convolutions and dense layers, forward, for one image."""
    count = 0
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            count += operations(layer)
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            _, *positions, _ = layer.output.shape
            places = positions[0] * positions[1] if positions else 1
            count += 2 * places * int(keras.ops.size(layer.kernel))
    return count


def hours_until_done(runs: list[float], gpus: int) -> float:
    """How long a study takes whose runs start in order, as soon as a GPU is free."""
    free = [0.0] * gpus
    for hours in runs:
        heapq.heappush(free, heapq.heappop(free) + hours)
    return max(free)


def main(path: str) -> None:
    """Writes a row for each speed and number of GPUs."""
    each = operations(networks.build("inception_resnet_v2", (299, 299, 3), 100))
    print(f"{each / 1e9:.1f} GFLOP for an image, forward")
    rows = []
    for speed, gpus in itertools.product(SPEEDS, GPUS):
        runs = [
            steps * BATCH * passes * each / (speed * 1e12) / 3600
            for per_training in STEPS.values()
            for steps in per_training
            for _ in range(2 * 10)
            for passes in PASSES
        ]
        rows.append(
            {
                "tflops": speed,
                "gpus": gpus,
                "runs": len(runs),
                "longest_run_hours": round(max(runs), 2),
                "gpu_hours": round(sum(runs), 1),
                "hours": round(hours_until_done(runs, gpus), 1),
            }
        )
    files.write_csv(path, rows)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Measures the fraction of a run's time that its checkpoints take. See docs/long_runs.md.

python -m benchmarks.checkpoints --network=resnet32_thin --train_steps=40 --checkpoint_every=20
"""

import dataclasses
import sys
import tempfile
import time

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.training import run as runs
from mentormix_tf.training.checkpoints import Checkpoints


@dataclasses.dataclass(frozen=True)
class Config:
    """The run to measure.

    Args:
        dataset: the data set, with 40 % symmetric noise.
        network: the network.
        train_steps: number of steps of 128 images.
        checkpoint_every: steps between checkpoints.
    """

    dataset: str = "cifar10"
    network: str = "resnet32_thin"
    train_steps: int = 40
    checkpoint_every: int = 20


def main(given: Given) -> None:
    """Trains once, and prints how long steps and checkpoints took."""
    config = given.config(Config)
    taken = []

    class Timed(Checkpoints):
        def save(self, *arguments):
            started = time.perf_counter()
            super().save(*arguments)
            taken.append(time.perf_counter() - started)

    runs.Checkpoints = Timed
    with tempfile.TemporaryDirectory() as folder:
        result = runs.run(
            RunConfig(
                data=DataConfig(dataset=config.dataset),
                training=TrainingConfig(
                    network=config.network,
                    train_steps=config.train_steps,
                    eval_every=config.train_steps,
                    ema_decay=0.9999,
                ),
            ),
            OutputConfig(folder, checkpoint_every=config.checkpoint_every),
        )
    step = 128 / result["images_per_second"]
    later = sum(taken[1:]) / len(taken[1:])  # the first also traces its functions
    print(f"a step {step:.3f} s; a checkpoint {later:.3f} s, the first {taken[0]:.3f} s")
    for steps in (100, 1000):
        print(f"every {steps} steps: {later / (later + steps * step):.2%} of the time")


if __name__ == "__main__":
    sections = [Section("The run", Config)]
    sys.exit(command.run(main, "Measures the cost of checkpoints.", sections))

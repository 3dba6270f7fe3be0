"""python -m mentormix_tf.train_mentor: trains MentorNet-PD on its curriculum."""

import dataclasses
import math
import pathlib
import sys
from collections.abc import Sequence

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.errors import InputError

__all__ = ["TrainMentorConfig", "main"]


@dataclasses.dataclass(frozen=True)
class TrainMentorConfig:
    """How to train MentorNet-PD.

    Args:
        output: new folder for mentornet_pd.npz (the weights), agreement.json and curriculum.png.
        steps: number of batches of 32.
        learning_rate: Adam's initial learning rate; it falls by a tenth every 1000 steps. (With
            the published 0.1, the network learns a step instead of most of the ramp.)
        seed: seed of the initial weights and of the examples.
        checkpoint: instead of training, measure the network of this checkpoint (.npz, or the folder
            or path of a TF1 checkpoint).

    Raises:
        InputError: a value outside its range.
    """

    output: str = "runs/mentornet_pd"
    steps: int = 30_000
    learning_rate: float = 0.01
    seed: int = 0
    checkpoint: str = ""

    def __post_init__(self):
        if self.steps < 1:
            raise InputError(f"steps={self.steps} must be at least 1.")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate={self.learning_rate} must be a positive number.")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed={self.seed} must lie in [0, 2^32).")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the train_mentor command; returns its exit status.

    Args:
        argv: the words after the command; None for those that the process was started with.
    """
    summary = "Trains MentorNet-PD on its curriculum, and measures how well it follows it."
    return command.run(_train, summary, (Section("The network", TrainMentorConfig),), argv)


def _train(given: Given) -> None:
    command.load_backend()
    from mentormix_tf.mentors import mentor_run

    config = given.config(TrainMentorConfig)
    result = mentor_run.train_mentor(**dataclasses.asdict(config))
    print(mentor_run.table(result))
    print(f"More in {config.output}/")
    weights = pathlib.PurePath(config.output) / mentor_run.WEIGHTS
    print(f"Next: mentormix train --mentor=mentornet_pd --mentornet_checkpoint={weights}")


if __name__ == "__main__":
    sys.exit(main())

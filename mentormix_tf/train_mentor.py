"""python -m mentormix_tf.train_mentor: trains MentorNet-PD on its curriculum."""

import dataclasses
import math
import sys
from collections.abc import Sequence

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class TrainMentorConfig:
    """How MentorNet-PD is trained.

    Args:
        output: new folder for mentornet_pd.npz (the weights), agreement.json and curriculum.png.
        steps: number of batches of 32.
        learning_rate: Adam's, at the start; it falls by a tenth each 1000 steps. (The published
            0.1 leaves most of the ramp a step.)
        seed: of the initial weights and of the examples.
        checkpoint: measure the network of this checkpoint (.npz, or the path of a TF1 checkpoint
            without .index) and train none.

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
    """Trains a mentor as the words of a command line say; returns the exit status."""
    summary = "Trains MentorNet-PD on its curriculum, and measures how well it learned it."
    return command.run(_train, summary, (Section("The network", TrainMentorConfig),), argv)


def _train(given: Given) -> None:
    from mentormix_tf.mentors import mentor_run

    config = given.config(TrainMentorConfig)
    result = mentor_run.train_mentor(**dataclasses.asdict(config))
    print(mentor_run.table(result))
    print(f"In {config.output}/")


if __name__ == "__main__":
    sys.exit(main())

"""What a run leaves behind."""

import dataclasses
from typing import Literal

from mentormix_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class OutputConfig:
    """What a run leaves behind, and whether it goes on from there.

    Args:
        model_dir: the run's folder; left out, a new one in runs/. With --compare, it holds a folder
            for each method.
        resume: auto goes on with the run that model_dir holds; never refuses a folder that holds
            anything.
        checkpoint_every: steps between checkpoints; 0 for one at every evaluation.
        keep_checkpoints: how many of the latest checkpoints are kept; besides, the one that is best
            on the noisy validation split is, where there is one.
        profile_steps: the first and the last step to profile, as in 20,30, for TensorBoard's
            profiler.
    """

    model_dir: str = ""
    resume: Literal["auto", "never"] = "auto"
    checkpoint_every: int = 0
    keep_checkpoints: int = 3
    profile_steps: tuple[int, ...] = ()

    def __post_init__(self):
        if self.checkpoint_every < 0:
            raise InputError(f"checkpoint_every={self.checkpoint_every} must not be negative.")
        if self.keep_checkpoints < 1:
            raise InputError(f"keep_checkpoints={self.keep_checkpoints} must be at least 1.")
        steps = self.profile_steps
        if steps and not (len(steps) == 2 and 0 < steps[0] <= steps[1]):
            raise InputError(
                f"profile_steps={','.join(map(str, steps))} must be two steps from 1 on, as in "
                "20,30."
            )

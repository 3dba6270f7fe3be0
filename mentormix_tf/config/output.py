"""The output of a run."""

import dataclasses
from typing import Literal

from mentormix_tf.errors import InputError

__all__ = ["OutputConfig"]


@dataclasses.dataclass(frozen=True)
class OutputConfig:
    """The output of a run, and whether to resume from it.

    Args:
        model_dir: folder of the run; with --compare, of a folder for each method. Default: a new
            folder in runs/.
        resume: auto resumes the run in model_dir, if any; never rejects a folder that is not empty.
        checkpoint_every: steps between checkpoints; 0 for a checkpoint at every evaluation.
        keep_checkpoints: number of latest checkpoints to keep. If there is a validation split, the
            checkpoint that is best on it is kept, too.
        profile_steps: first and last step to profile for TensorBoard, such as 20,30.
        tracker: where to send the evaluations besides TensorBoard: wandb for Weights & Biases,
            mlflow, or none.
    """

    model_dir: str = ""
    resume: Literal["auto", "never"] = "auto"
    checkpoint_every: int = 0
    keep_checkpoints: int = 3
    profile_steps: tuple[int, ...] = ()
    tracker: Literal["none", "wandb", "mlflow"] = "none"

    def __post_init__(self) -> None:
        if self.checkpoint_every < 0:
            raise InputError(f"checkpoint_every={self.checkpoint_every} must not be negative.")
        if self.keep_checkpoints < 1:
            raise InputError(f"keep_checkpoints={self.keep_checkpoints} must be at least 1.")
        steps = self.profile_steps
        if steps and not (len(steps) == 2 and 0 < steps[0] <= steps[1]):
            raise InputError(
                f"profile_steps={','.join(map(str, steps))} must be two steps of at least 1 in "
                "order, such as 20,30."
            )

"""The settings of trainings before the run itself."""

import dataclasses
from typing import Literal

from mentormix_tf.errors import InputError

__all__ = ["RoundsConfig"]


@dataclasses.dataclass(frozen=True)
class RoundsConfig:
    """The settings of trainings before the run itself.

    Args:
        rounds: incv to train on halves of the training set first, and then on the examples whose
            labels the networks of the other half agree with (Chen et al. 2019); confusion to
            estimate the transition matrix of s_model or forward by the confusion matrix of a
            network that is trained plainly first (Goldberger and Ben-Reuven 2017); curriculum_net
            to begin with the examples that lie close together in the features of such a network
            (Guo et al. 2018); clean_net to weight examples by what verified labels teach of them in
            these features (Lee et al. 2018); or none.
        round_steps: number of steps of each training before the run itself; 0 for a quarter of
            train_steps.
        round_features: features of the network of the first round that curriculum_net and clean_net
            look at: penultimate, the input of the last layer; or convolution, the last feature
            maps, which have learned less of the wrong labels.
        incv_iterations: number of iterations of incv, each of two trainings.
        incv_noise: what incv assumes of wrong labels: symmetric if they are any other class, pair
            if each class turns into one other.
        clean_net_references: number of images that stand for a class in clean_net, at least 1.
        clean_net_steps: number of training steps of its own small networks, at least 1.
    """

    rounds: Literal["none", "incv", "confusion", "curriculum_net", "clean_net"] = "none"
    round_steps: int = 0
    round_features: Literal["penultimate", "convolution"] = "penultimate"
    incv_iterations: int = 4
    incv_noise: Literal["symmetric", "pair"] = "symmetric"
    clean_net_references: int = 32
    clean_net_steps: int = 1000

    def __post_init__(self) -> None:
        if not 0 <= self.round_steps < 2**31:
            raise InputError(f"round_steps={self.round_steps} must lie in [0, 2**31).")
        if not 1 <= self.incv_iterations <= 100:
            raise InputError(f"incv_iterations={self.incv_iterations} must lie in [1, 100].")
        for name, most in (("clean_net_references", 1000), ("clean_net_steps", 2**31 - 1)):
            if not 1 <= getattr(self, name) <= most:
                raise InputError(f"{name}={getattr(self, name)} must lie in [1, {most}].")

    def num_rounds(self) -> int:
        """Number of trainings before the run itself; incv may end earlier."""
        return {"none": 0, "incv": 2 * self.incv_iterations}.get(self.rounds, 1)

"""What hyperparameters may be, where several methods share them."""

from typing import Literal

Interpolation = Literal["nearest", "linear", "lower", "higher", "midpoint"]
MentorKind = Literal["threshold", "mentornet_pd"]

"""The choices of hyperparameters that several methods share."""

from typing import Literal

__all__ = ["GammaP", "Interpolation", "MentorKind"]

GammaP = float | Literal["auto"]
Interpolation = Literal["nearest", "linear", "lower", "higher", "midpoint"]
MentorKind = Literal["threshold", "mentornet_pd"]

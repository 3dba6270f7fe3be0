"""Mentors: how losses become example weights v in [0, 1]."""

from mentormix_tf.mentors.base import Mentor
from mentormix_tf.mentors.threshold import ThresholdMentor

__all__ = ["Mentor", "ThresholdMentor"]

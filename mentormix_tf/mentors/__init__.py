"""Mentors: how losses become example weights v in [0, 1]."""

from mentormix_tf.mentors.base import Mentor
from mentormix_tf.mentors.mentornet_pd import MentorNetPD
from mentormix_tf.mentors.threshold import ThresholdMentor

MENTORS = {"threshold": ThresholdMentor, "mentornet_pd": MentorNetPD}

__all__ = ["MENTORS", "Mentor", "MentorNetPD", "ThresholdMentor"]

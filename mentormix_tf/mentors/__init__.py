"""Mentors: how losses become example weights v in [0, 1]."""

from mentormix_tf.errors import InputError
from mentormix_tf.mentors.base import Mentor
from mentormix_tf.mentors.mentornet_pd import MentorNetPD, if_there
from mentormix_tf.mentors.threshold import ThresholdMentor

MENTORS = {"threshold": ThresholdMentor, "mentornet_pd": MentorNetPD}

__all__ = [
    "MENTORS",
    "Mentor",
    "MentorNetPD",
    "ThresholdMentor",
    "build",
    "if_there",
]


def build(kind, checkpoint, **settings):
    """A mentor by its name.

    Args:
        kind: a name in `MENTORS`.
        checkpoint: weights of mentornet_pd, see `MentorNetPD`; "" for any other.
        **settings: see `Mentor`.

    Raises:
        InputError: a name that is not known, an argument out of range, or a checkpoint that can't
            be read or is for another mentor.
    """
    if kind not in MENTORS:
        raise InputError(f"mentor={kind} is unknown: choose one of {', '.join(MENTORS)}.")
    if kind == "mentornet_pd":
        settings["checkpoint"] = checkpoint
    elif checkpoint:
        raise InputError(
            f"mentornet_checkpoint={checkpoint} is of no use to mentor={kind}: add "
            "mentor=mentornet_pd, or leave it out."
        )
    return MENTORS[kind](**settings)

"""Mentors: how losses become example weights v in [0, 1]."""

from typing import Any

from mentormix_tf.errors import InputError
from mentormix_tf.mentors.base import Mentor
from mentormix_tf.mentors.label_agreement import LabelAgreement
from mentormix_tf.mentors.mentornet_pd import MentorNetPD, if_there
from mentormix_tf.mentors.threshold import ThresholdMentor

MENTORS: dict[str, type[Mentor]] = {"threshold": ThresholdMentor, "mentornet_pd": MentorNetPD}

__all__ = [
    "MENTORS",
    "LabelAgreement",
    "Mentor",
    "MentorNetPD",
    "ThresholdMentor",
    "build",
    "if_there",
]


def build(kind: str, checkpoint: str, **settings: Any) -> Mentor:
    """Creates a mentor by its name.

    Args:
        kind: a key of `MENTORS`.
        checkpoint: weights of mentornet_pd, see `MentorNetPD`; "" for other mentors.
        **settings: arguments of `Mentor`.

    Raises:
        InputError: the name is unknown, an argument is out of range, or the checkpoint can't be
            read or is given for a mentor that has no weights.
    """
    if kind not in MENTORS:
        raise InputError(f"mentor={kind} is unknown: choose one of {', '.join(MENTORS)}.")
    if kind == "mentornet_pd":
        settings["checkpoint"] = checkpoint
    elif checkpoint:
        raise InputError(
            f"mentornet_checkpoint={checkpoint} has no effect with mentor={kind}: add "
            "mentor=mentornet_pd, or omit mentornet_checkpoint."
        )
    return MENTORS[kind](**settings)

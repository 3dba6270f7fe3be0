"""Reads a run's flags.txt, the flagfile that repeats it."""

from etils import epath

from mentormix_tf import methods
from mentormix_tf.config import RunConfig
from mentormix_tf.config import run as run_config

__all__ = ["read"]


def read(path: epath.Path) -> RunConfig:
    """Reads the run that a flags.txt repeats.

    Raises:
        InputError: the file can't be read, or has an unknown flag or an invalid value.
    """
    return run_config.read(path, methods.all_hyperparameters())

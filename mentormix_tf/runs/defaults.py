"""Completes a run's config."""

import dataclasses

from mentormix_tf import methods
from mentormix_tf.config import RunConfig
from mentormix_tf.data import settings

__all__ = ["resolve"]


def resolve(config: RunConfig) -> RunConfig:
    """Completes a config with the defaults of its data set and its method.

    Raises:
        InputError: the data set, the noise, the method or a hyperparameter is invalid.
    """
    return dataclasses.replace(
        config,
        data=settings.resolve(config.data),
        hyperparameters=methods.resolve(config.method, config.hyperparameters),
    )

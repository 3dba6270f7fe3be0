"""Completes and checks the settings of a noisy split, without TensorFlow."""

import dataclasses
import os

from mentormix_tf import files
from mentormix_tf.config import DataConfig
from mentormix_tf.data import corrections, examples_file, sources
from mentormix_tf.errors import InputError

__all__ = ["DEFAULT_LEVEL", "resolve"]

DEFAULT_LEVEL = 0.4


def resolve(config: DataConfig) -> DataConfig:
    """Fills in the default noise and level of a data set, and checks that the settings fit.

    Args:
        config: the settings, whose noise may be "" and whose noise_level may be None.

    Returns:
        The settings with noise and noise_level set; noise_level is None for noise without levels.

    Raises:
        InputError: the data set or the noise is unknown, or a setting does not apply to this noise.
    """
    entry, _ = sources.get(config.dataset)
    chosen = entry.choose_noise(config.dataset, config.noise)
    kind, level = entry.noise_kinds[chosen], config.noise_level
    if kind.takes_level:
        level = DEFAULT_LEVEL if level is None else level
    elif level is not None:
        raise InputError(f"noise_level={level} can't be set: noise={chosen} has no levels.")
    if bool(config.noise_file) != kind.takes_file:
        raise InputError(
            f"noise={chosen} needs a --noise_file."
            if kind.takes_file
            else f"noise_file={config.noise_file} can't be set: noise={chosen} reads no file."
        )
    noise_file = config.noise_file and str(files.expanded(config.noise_file, "noise_file"))
    if noise_file and not os.path.isfile(noise_file):
        raise InputError(f"noise_file={config.noise_file} does not exist.")
    return dataclasses.replace(
        config,
        noise=chosen,
        noise_level=level,
        noise_file=noise_file,
        corrections=",".join(corrections.paths(config.corrections)),
        examples_file=examples_file.checked_path(config.examples_file),
    )

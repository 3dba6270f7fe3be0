"""The settings of a run: frozen dataclasses whose fields and docstrings define the flags."""

from mentormix_tf.config.data import DataConfig
from mentormix_tf.config.devices import StrategyConfig
from mentormix_tf.config.output import OutputConfig
from mentormix_tf.config.rounds import RoundsConfig
from mentormix_tf.config.run import RunConfig
from mentormix_tf.config.training import TrainingConfig

__all__ = [
    "DataConfig",
    "OutputConfig",
    "RoundsConfig",
    "RunConfig",
    "StrategyConfig",
    "TrainingConfig",
]

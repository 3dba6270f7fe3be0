"""The settings of one training run."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from mentormix_tf.config import codec, flagfile
from mentormix_tf.config.codec import Field
from mentormix_tf.config.data import DataConfig
from mentormix_tf.config.flags import FlagSet
from mentormix_tf.config.rounds import RoundsConfig
from mentormix_tf.config.training import TrainingConfig
from mentormix_tf.errors import InputError

__all__ = ["RunConfig", "read"]


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """The settings of one training run.

    Args:
        data: the noisy split to train on.
        training: how the network is trained.
        method: name of the method.
        hyperparameters: hyperparameters of the method, by name; missing ones have the method's
            defaults.
        rounds: what is trained before it.

    Raises:
        InputError: settings don't go together.
    """

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    method: str = "mentormix"
    hyperparameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    rounds: RoundsConfig = dataclasses.field(default_factory=RoundsConfig)

    def __post_init__(self) -> None:
        stride = self.training.steps_per_execution
        if self.rounds.round_steps % stride:
            raise InputError(
                f"round_steps={self.rounds.round_steps} must be a multiple of steps_per_execution="
                f"{stride}."
            )

    def steps_of_a_round(self) -> int:
        """Number of steps of each training before the run itself, with `rounds`."""
        stride = self.training.steps_per_execution
        executions = self.training.train_steps // stride
        return self.rounds.round_steps or max(1, executions // 4) * stride

    def values(self) -> dict[str, Any]:
        """Returns all settings by flag name, in the order of a flagfile."""
        return {
            **dataclasses.asdict(self.data),
            "method": self.method,
            **self.hyperparameters,
            **dataclasses.asdict(self.training),
            **dataclasses.asdict(self.rounds),
        }

    def flags(self) -> dict[str, str]:
        """Returns the flags that repeat the run, as text; settings that are None are left out."""
        return {k: codec.serialize(v) for k, v in self.values().items() if v is not None}

    def flagfile(self) -> str:
        """Returns the flagfile that repeats the run.

        Raises:
            InputError: a value can't be written to a flagfile.
        """
        return flagfile.write(self.values())


def read(
    path: pathlib.Path | epath.Path, hyperparameters: Mapping[str, Sequence[Field]]
) -> RunConfig:
    """Reads the settings of a run from a flagfile, such as the flags.txt in its folder.

    Args:
        path: the flagfile, local or remote.
        hyperparameters: hyperparameters of each method, by method name.

    Returns:
        The settings. Those that the file lacks have their defaults; hyperparameters that it lacks
        are missing.

    Raises:
        InputError: the file can't be read, or has an unknown flag or an invalid value.
    """
    settings = [*codec.fields(DataConfig), Field("method", str, RunConfig.method)]
    settings += [*codec.fields(TrainingConfig), *codec.fields(RoundsConfig)]
    flags = FlagSet(settings, hyperparameters)
    try:
        foreign = flags.parse(flagfile.read(path), path.parent)
        if foreign:
            raise InputError(f"{foreign[0]} is not a flag: a line must start with --.")
        if flags["method"] not in hyperparameters:
            raise InputError(
                f"method={flags['method']} is unknown: choose one of {', '.join(hyperparameters)}."
            )
        own = {field.name for field in hyperparameters[flags["method"]]}
        given = {k: v for k, v in flags.hyperparameters().items() if k in own}
        return RunConfig(
            flags.config(DataConfig),
            flags.config(TrainingConfig),
            flags["method"],
            given,
            flags.config(RoundsConfig),
        )
    except InputError as error:
        raise InputError(f"{path} can't be read as a run's flags: {error}") from error

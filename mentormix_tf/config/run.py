"""One training run."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from mentormix_tf.config import codec, flagfile
from mentormix_tf.config.codec import Field
from mentormix_tf.config.data import DataConfig
from mentormix_tf.config.flags import FlagSet
from mentormix_tf.config.training import TrainingConfig
from mentormix_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """One training run.

    Args:
        data: the noisy split.
        training: how the network is trained.
        method: the method, by name.
        hyperparameters: the method's own, by name; those left out keep the method's defaults.
    """

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    method: str = "mentormix"
    hyperparameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """All settings by the names of their flags, in the order of a flagfile."""
        return {
            **dataclasses.asdict(self.data),
            "method": self.method,
            **self.hyperparameters,
            **dataclasses.asdict(self.training),
        }

    def flags(self) -> dict[str, str]:
        """The flags that repeat the run, as text; what is None is left out."""
        return {k: codec.serialize(v) for k, v in self.values().items() if v is not None}

    def flagfile(self) -> str:
        """Those flags as the text of a flagfile."""
        return flagfile.write(self.values())


def read(path: Any, hyperparameters: Mapping[str, Sequence[Field]]) -> RunConfig:
    """Reads a run from a flagfile, such as the flags.txt of its folder.

    Args:
        path: `pathlib.Path` or `epath.Path`.
        hyperparameters: those of each method, by the method's name.

    Returns:
        The run; what the file leaves out has its default, or is missing in `hyperparameters`.

    Raises:
        InputError: it can't be read, or has a flag or a value that no run has.
    """
    settings = [*codec.fields(DataConfig), Field("method", str, RunConfig.method)]
    flags = FlagSet([*settings, *codec.fields(TrainingConfig)], hyperparameters)
    try:
        foreign = flags.parse(flagfile.read(path), path.parent)
        if foreign:
            raise InputError(f"{foreign[0]} is not a flag.")
        if flags["method"] not in hyperparameters:
            raise InputError(f"method={flags['method']} is unknown.")
        own = {field.name for field in hyperparameters[flags["method"]]}
        given = {k: v for k, v in flags.hyperparameters().items() if k in own}
        return RunConfig(
            flags.config(DataConfig), flags.config(TrainingConfig), flags["method"], given
        )
    except InputError as error:
        raise InputError(f"{path} can't be read as a run's flags: {error}") from error

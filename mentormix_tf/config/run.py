"""One training run."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from mentormix_tf.config.data import DataConfig
from mentormix_tf.config.training import TrainingConfig


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

    def flags(self):
        """The flags that repeat the run: a dict from name to value, as text."""
        values = {
            **dataclasses.asdict(self.data),
            "method": self.method,
            **self.hyperparameters,
            **dataclasses.asdict(self.training),
        }
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in values.items()
            if value is not None
        }

    def flagfile(self):
        """Those flags as the text of a flagfile."""
        return "".join(f"--{name}={value}\n" for name, value in self.flags().items())

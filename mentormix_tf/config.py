"""What a run is made of: frozen dataclasses, from whose fields and docstrings the flags come."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from mentormix_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The noisy split to train on.

    Args:
        dataset: where the images come from.
        noise: how labels are made wrong; symmetric flips to a random incorrect class.
        noise_level: fraction of the training labels to make wrong, in [0, 1].
        noise_seed: seed of the noise and of the validation cut; another one, other wrong labels.
        validation_fraction: fraction of the noisy training examples to hold out, in [0, 1), for
            choosing hyperparameters without the test labels.
    """

    dataset: str = "digits"
    noise: Literal["symmetric"] = "symmetric"
    noise_level: float = 0.4
    noise_seed: int = 0
    validation_fraction: float = 0.0

    def __post_init__(self):
        if not 0.0 <= self.noise_level <= 1.0:
            raise InputError(f"noise_level={self.noise_level} must lie in [0, 1].")
        if not 0.0 <= self.validation_fraction < 1.0:
            raise InputError(f"validation_fraction={self.validation_fraction} must lie in [0, 1).")
        if self.noise_seed < 0:
            raise InputError(f"noise_seed={self.noise_seed} must not be negative.")


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How the network is trained.

    Args:
        network: the network, by name.
        batch_size: examples in a step, over all replicas.
        train_steps: how many steps to train.
        eval_every: steps between evaluations; train_steps must be a multiple of it.
        learning_rate: SGD's learning rate at the start; it falls to 0 along a cosine.
        seed: seed of the weights, the order of the examples and the method's draws.
        jit_compile: whether XLA compiles the step; auto does so where there is a GPU.
    """

    network: str = "small_cnn"
    batch_size: int = 128
    train_steps: int = 600
    eval_every: int = 100
    learning_rate: float = 0.1
    seed: int = 0
    jit_compile: Literal["auto", "true", "false"] = "auto"

    def __post_init__(self):
        for name in ("batch_size", "train_steps", "eval_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)} must be at least 1.")
        if self.train_steps % self.eval_every and self.train_steps > self.eval_every:
            raise InputError(
                f"train_steps={self.train_steps} must be a multiple of eval_every="
                f"{self.eval_every}, so that the last evaluation is of the final weights."
            )
        if not 0.0 < self.learning_rate < float("inf"):
            raise InputError(f"learning_rate={self.learning_rate} must be a positive number.")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"seed={self.seed} must lie in [0, 2**31).")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """One training run.

    Args:
        data: the noisy split.
        training: how the network is trained.
        method: the method, by name.
        hyperparameters: the method's own, by name; those left out keep the method's defaults.
    """

    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
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
        return {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in values.items()}

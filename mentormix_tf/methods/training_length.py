"""The number of steps of a call of `fit`, of which some hyperparameters are a fraction."""

from typing import Any

import keras

from mentormix_tf.errors import InputError

__all__ = ["TrainingLength"]


class TrainingLength(keras.callbacks.Callback):
    """Tells a `NoisyLabelModel` the number of steps of `fit`, of which `burn_in` is a fraction.

    Args:
        initial_epoch: the epoch at which `fit` starts.
    """

    model: Any  # a `NoisyLabelModel`, whose module imports this one
    params: dict[str, Any]

    def __init__(self, initial_epoch: int):
        super().__init__()
        self.initial_epoch = initial_epoch

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        steps = self.params["steps"]
        if steps is None and self.model.burn_in > 0:
            raise InputError(
                f"burn_in={self.model.burn_in} is a fraction of training, whose length is unknown "
                "for this data set: pass steps_per_epoch to fit."
            )
        steps = steps or 0
        self.model.begin_training(
            self.params["epochs"] * steps, self.model.step - self.initial_epoch * steps
        )

"""A Keras model whose `fit` and `evaluate` refuse what a method can't be trained on."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from mentormix_tf.errors import InputError
from mentormix_tf.methods import fit_checks
from mentormix_tf.methods import labels as label_forms
from mentormix_tf.methods.fit_checks import FitChecks
from mentormix_tf.methods.measured_model import MeasuredModel
from mentormix_tf.methods.training_length import TrainingLength

__all__ = ["CheckedModel"]


class CheckedModel(MeasuredModel):
    """A Keras model that checks its data, and exports its network alone.

    Attributes:
        network: the network that is trained.
    """

    network: keras.Model

    @classmethod
    def classes_of(cls, hyperparameters: Mapping[str, Any]) -> int:
        """Returns the number of classes that hyperparameters are for; 2 if they fit any number.

        Args:
            hyperparameters: all hyperparameters of the method, by name.

        Raises:
            InputError: a file that they name can't be read.
        """
        return 2

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains as `keras.Model.fit` does, with the same arguments.

        `burn_in` is a fraction of all steps up to the end of `epochs`, counted from epoch 0. Each
        call is a new training, unless `initial_epoch` continues an earlier one.

        Raises:
            InputError: the model was compiled with a loss, or labels or batches do not fit.
        """
        if self.loss is not None:
            raise InputError(
                f"{type(self).__name__} defines its own loss: call compile without loss="
                f"{self.loss!r}."
            )
        fit_checks.check_arguments(type(self).__name__, self.num_classes, y, kwargs)
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = callbacks.callbacks
        # First, so that a callback that restores the model's state has the last word.
        own = [TrainingLength(kwargs.get("initial_epoch", 0)), FitChecks()]
        callbacks = [*own, *tf.nest.flatten(callbacks or [])]
        x = fit_checks.known_columns(x)
        with label_forms.short_errors():
            return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluates as `keras.Model.evaluate` does, with the same arguments.

        Raises:
            InputError: labels do not fit.
        """
        with label_forms.short_errors():
            return super().evaluate(fit_checks.known_columns(x), *args, **kwargs)

    def export(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
        """Exports the trained network alone, as `keras.Model.export` does."""
        self.network.export(filepath, *args, **kwargs)

"""How long a call of `fit` is, which some hyperparameters are a fraction of."""

import keras

from mentormix_tf.errors import InputError


class TrainingLength(keras.callbacks.Callback):
    """Tells a `NoisyLabelModel` how many steps `fit` will take, which `burn_in` is a fraction of.

    Args:
        initial_epoch: the epoch that `fit` begins with.
    """

    def __init__(self, initial_epoch):
        super().__init__()
        self.initial_epoch = initial_epoch

    def on_train_begin(self, logs=None):
        steps = self.params["steps"]
        if steps is None and self.model.burn_in > 0:
            raise InputError(
                f"burn_in={self.model.burn_in} is a fraction of training, whose length is unknown "
                "for this data set: give steps_per_epoch to fit."
            )
        steps = steps or 0
        self.model.begin_training(
            self.params["epochs"] * steps, self.model.step - self.initial_epoch * steps
        )

"""What is measured while a network trains."""

import time

import keras


class Evaluation(keras.callbacks.Callback):
    """Adds a row to the run's folder at every evaluation, which Keras calls the end of an epoch.

    A row has: step, learning_rate, images_per_second, Keras's training metrics since the last row
    (loss, accuracy against the labels as mixed, and the method's own, such as gamma and mean_v),
    test_loss and test_accuracy on clean labels; where a moving average of the weights is kept,
    averaged_test_loss and averaged_test_accuracy; and where there is a validation split,
    validation_loss and validation_accuracy on its noisy labels.

    Args:
        test: batches with clean labels and how many they are.
        validation: batches with noisy labels and how many they are, or None.
        folder: `RunFolder`.
        batch_size: examples in a training step.
    """

    def __init__(self, test, validation, folder, batch_size):
        super().__init__()
        self.test = test
        self.validation = validation
        self.folder = folder
        self.batch_size = batch_size
        self.steps = 0
        # Steps and seconds of each execution but the first, which waits for the compiler.
        self.timed = []

    def images_per_second(self, since=0):
        """Training speed since an execution; None before the second."""
        steps = sum(steps for steps, _ in self.timed[since:])
        seconds = sum(seconds for _, seconds in self.timed[since:])
        return steps * self.batch_size / seconds if steps else None

    def on_epoch_begin(self, epoch, logs=None):
        self.executions_before = len(self.timed)

    def on_train_batch_begin(self, batch, logs=None):
        self.first, self.started = batch, time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        # They are done by now: the check of the loss, which comes first, has waited for them.
        taken = batch - self.first + 1
        if self.steps > 0:
            self.timed.append((taken, time.perf_counter() - self.started))
        self.steps += taken

    def on_epoch_end(self, epoch, logs=None):
        row = {
            "learning_rate": float(self.model.optimizer.learning_rate),
            "images_per_second": self.images_per_second(self.executions_before),
        }
        # Keras's "validation" data is the test split: the paper's clean validation set.
        for name, value in logs.items():
            row[name.replace("val_", "test_", 1) if name.startswith("val_") else name] = value
        if self.model.average_decay:
            with self.model.averaged():
                row |= self._measured("averaged_test", self.test)
        if self.validation is not None:
            row |= self._measured("validation", self.validation)
        # Seven digits are what a float32 holds.
        digits = {name: value and float(f"{value:.7g}") for name, value in row.items()}
        self.folder.write_row({"step": self.steps, **digits})

    def _measured(self, name, data):
        batches, steps = data
        values = self.model.evaluate(batches, steps=steps, verbose=0, return_dict=True)
        return {f"{name}_{key}": value for key, value in values.items()}

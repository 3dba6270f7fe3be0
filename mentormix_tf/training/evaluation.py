"""What is measured while a network trains."""

import time

import keras


class Evaluation(keras.callbacks.Callback):
    """Adds a row to the run's folder at every evaluation, which Keras calls the end of an epoch.

    A row has: step, learning_rate, images_per_second, Keras's training metrics since the last row
    (loss, accuracy against the labels as mixed, and the method's own, such as gamma and mean_v),
    test_loss and test_accuracy on clean labels, and where there is a validation split,
    validation_loss and validation_accuracy on its noisy labels.

    Args:
        validation: batches with noisy labels, or None.
        folder: `RunFolder`.
        batch_size: examples in a training step.
    """

    def __init__(self, validation, folder, batch_size):
        super().__init__()
        self.validation = validation
        self.folder = folder
        self.batch_size = batch_size
        self.rows = []
        self.steps = 0
        self.timed = []  # seconds of each step but the first, which waits for the compiler

    def images_per_second(self, last_steps=None):
        """Training speed over the last steps, or over all; None before the second step."""
        timed = self.timed[-last_steps:] if last_steps else self.timed
        return len(timed) * self.batch_size / sum(timed) if timed else None

    def on_epoch_begin(self, epoch, logs=None):
        self.steps_in_epoch = 0

    def on_train_batch_begin(self, batch, logs=None):
        self.step_started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        self.steps_in_epoch += 1
        # A step is done by now: the check of its loss, which comes first, has waited for it.
        if self.steps > 1:
            self.timed.append(time.perf_counter() - self.step_started)

    def on_epoch_end(self, epoch, logs=None):
        row = {
            "learning_rate": float(self.model.optimizer.learning_rate),
            "images_per_second": self.images_per_second(self.steps_in_epoch),
        }
        # Keras's "validation" data is the test split: the paper's clean validation set.
        for name, value in logs.items():
            row[name.replace("val_", "test_", 1) if name.startswith("val_") else name] = value
        if self.validation is not None:
            noisy = self.model.evaluate(self.validation, verbose=0, return_dict=True)
            row |= {f"validation_{name}": value for name, value in noisy.items()}
        # Seven digits are what a float32 holds.
        digits = {name: value and float(f"{value:.7g}") for name, value in row.items()}
        row = {"step": self.steps, **digits}
        self.rows.append(row)
        self.folder.write_row(row)

"""What TensorBoard shows of a run: curves, histograms, pictures, settings, a profile."""

import contextlib

import tensorflow as tf
from etils import epath
from tensorboard.plugins.hparams import api as hparams

from mentormix_tf.errors import InputError
from mentormix_tf.metrics.predictions import Predictions

# TensorBoard draws the curves whose names begin alike on one page.
GROUPS = {
    "loss": "train/loss",
    "accuracy": "train/accuracy",
    "loss_before_mixing": "train/loss_before_mixing",
    "learning_rate": "train/learning_rate",
    "images_per_second": "speed/images_per_second",
    "input_wait": "speed/input_wait",
    "train_clean_accuracy": "memorization/train_clean_accuracy",
    "train_wrong_accuracy": "memorization/train_wrong_accuracy",
    "train_wrong_true_accuracy": "memorization/train_wrong_true_accuracy",
}
SPLITS = ("averaged_test", "test", "validation")


def tag(column):
    """What a column of metrics.csv is called in TensorBoard."""
    for split in SPLITS:
        if column.startswith(f"{split}_"):
            return f"{split}/{column.removeprefix(f'{split}_')}"
    return GROUPS.get(column, f"method/{column}")


class TensorBoard:
    """Writes a run's event files.

    Args:
        folder: where they go, which may be remote.
    """

    def __init__(self, folder):
        self._folder = folder
        self._writer = tf.summary.create_file_writer(str(folder))

    @contextlib.contextmanager
    def _at(self, step):
        """Takes summaries of a step, and writes them."""
        try:
            with self._writer.as_default(step=step):
                yield
            self._writer.flush()
        except tf.errors.OpError as error:
            raise InputError(f"{self._folder} can't be written: {error.message}.") from error

    def write_settings(self, config):
        """Shows the flags as text, and lets runs be compared by them (HParams).

        Args:
            config: `RunConfig`.
        """
        flags = config.flags()
        table = ["| flag | value |", "|---|---|", *(f"| {k} | {v} |" for k, v in flags.items())]
        with self._at(0):
            tf.summary.text("flags", "\n".join(table))
            hparams.hparams({name: _number(value) for name, value in flags.items()})

    def write_row(self, row):
        """Adds an evaluation to the curves.

        Args:
            row: dict from column to number or None, `step` among them.
        """
        with self._at(row["step"]):
            for column, value in row.items():
                if column != "step" and value is not None:
                    tf.summary.scalar(tag(column), value)

    def write_losses(self, step: int, predictions: Predictions) -> None:
        """Adds the histograms of losses: of examples with right labels, and with wrong ones.

        Args:
            step: the step.
            predictions: of training examples.
        """
        with self._at(step):
            for name, is_clean in [("clean", 1), ("wrong", 0)]:
                losses = predictions.loss[predictions.is_clean == is_clean]
                if losses.size:
                    tf.summary.histogram(f"loss_of_training_examples/{name}", losses)

    def write_picture(self, step, name, png):
        """Adds a picture.

        Args:
            step: the step.
            name: its name.
            png: its PNG file, bytes.
        """
        with self._at(step):
            tf.summary.image(name, tf.io.decode_png(png, channels=3)[None])


def _number(text):
    """A flag's value as a number, by which TensorBoard can sort runs; as text where it is none."""
    try:
        return float(text)
    except ValueError:
        return text


class Profile:
    """Profiles some steps, for TensorBoard's profiler (tensorboard-plugin-profile).

    Used as a context, which ends a profile that is still going on.

    Args:
        steps: the first and the last step, counted from 1; or nothing, for no profile.
        folder: where it goes.
    """

    def __init__(self, steps, folder):
        self._first, self._last = steps or (0, 0)
        self._folder = epath.Path(folder)
        self._is_on = False

    def next_steps(self, first, last):
        """Starts or ends the profile, before steps from first to last are taken."""
        if self._is_on and first > self._last:
            self._end()
        if not self._is_on and first <= self._last and last >= self._first:
            tf.profiler.experimental.start(str(self._folder))
            self._is_on = True

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._is_on:
            self._end()

    def _end(self):
        tf.profiler.experimental.stop()
        self._is_on = False

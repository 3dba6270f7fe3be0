"""What TensorBoard shows of a run: curves, histograms, pictures, settings, a profile."""

import contextlib

import numpy as np
import tensorflow as tf
from etils import epath
from matplotlib.figure import Figure
from tensorboard.plugins.hparams import api as hparams

from mentormix_tf.errors import InputError

COLUMNS = 4  # and rows of mixed images in a picture
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

    def write_losses(self, step, examples):
        """Adds the histograms of losses: of examples with right labels, and with wrong ones.

        Args:
            step: the step.
            examples: `Examples`.
        """
        with self._at(step):
            for name, is_clean in [("clean", 1), ("wrong", 0)]:
                losses = examples["loss"][examples["is_clean"] == is_clean]
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


def draw_mixed(images, labels, lam, class_names):
    """A picture of images as the network is shown them, each with its label.

    Args:
        images: `[batch, height, width, channels]`, float32, in [0, 255].
        labels: `[batch, num_classes]`, float32, probabilities.
        lam: `[batch]`, λ of each; NaN where there is none.
        class_names: names of the classes.

    Returns:
        `matplotlib.figure.Figure` of the first 16.
    """
    figure = Figure((8, 10.8), dpi=100)
    side, unit = 1 / COLUMNS, 1.35 / COLUMNS  # of a place in the picture, across and down
    # One picture after the other, as axes for each would take a second.
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    for i, (image, label) in enumerate(zip(images[: COLUMNS**2], labels, strict=False)):
        left, top = side * (i % COLUMNS), unit * (COLUMNS - i // COLUMNS)
        tall, wide = (0.95 * side * part / max(image.shape[:2]) for part in image.shape[:2])
        extent = (left + (side - wide) / 2, left + (side + wide) / 2, top - tall, top)
        shown = np.clip(image / 255.0, 0.0, 1.0)
        shown = shown.repeat(3, axis=-1) if shown.shape[-1] == 1 else shown
        axes.imshow(shown, extent=extent, aspect="auto", interpolation="nearest")
        likeliest = [c for c in np.argsort(-label, kind="stable")[:2] if label[c] > 0.005]
        title = "\n".join(f"{label[c]:.2f} {class_names[c][:24]}" for c in likeliest)
        title += "" if np.isnan(lam[i]) else f"\nλ = {lam[i]:.2f}"
        middle = left + side / 2
        style = dict(ha="center", va="top", fontsize=8.5, parse_math=False)
        axes.text(middle, top - tall - 0.01, title, **style)
    axes.set(xlim=(0, 1), ylim=(0, 1.36))
    return figure


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

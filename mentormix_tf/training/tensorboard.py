"""Writes a run for TensorBoard: curves, histograms, images, settings and a profile."""

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from etils import epath
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.hparams import api as hparams
from tensorboard.summary.writer.record_writer import RecordWriter

from mentormix_tf import markdown
from mentormix_tf.config import RunConfig
from mentormix_tf.errors import InputError
from mentormix_tf.metrics.predictions import Predictions

__all__ = ["GROUPS", "SPLITS", "Profile", "TensorBoard", "tag"]

# TensorBoard groups curves by the part of their names before the slash.
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


def tag(column: str) -> str:
    """The name in TensorBoard of a column of metrics.csv."""
    for split in SPLITS:
        if column.startswith(f"{split}_"):
            return f"{split}/{column.removeprefix(f'{split}_')}"
    return GROUPS.get(column, f"method/{column}")


class TensorBoard:
    """Writes a run's event files.

    Args:
        folder: the folder for them, which may be remote.
        done: how many steps are done. TensorBoard forgets what an interrupted run wrote of later
            steps, which are taken again. (It reads event files in the order of the clock.)
    """

    def __init__(self, folder: epath.PathLike, done: int = 0):
        self._folder = folder
        if epath.Path(folder).exists():
            _write_restart(epath.Path(folder), done)
        self._writer = tf.summary.create_file_writer(str(folder))

    @contextlib.contextmanager
    def _at(self, step):
        """A context whose summaries belong to a step, and are written at its end."""
        try:
            with self._writer.as_default(step=step):
                yield
            self._writer.flush()
        except tf.errors.OpError as error:
            raise InputError(f"{self._folder} can't be written: {error.message}.") from error

    def write_settings(self, config: RunConfig) -> None:
        """Writes the run's flags as text, and as hyperparameters to compare runs by (HParams).

        Args:
            config: the run.

        Raises:
            InputError: the files can't be written; so for all methods.
        """
        flags = config.flags()
        rows = (f"| {name} | {markdown.escaped(value)} |" for name, value in flags.items())
        table = ["| flag | value |", "|---|---|", *rows]
        with self._at(0):
            tf.summary.text("flags", "\n".join(table))
            hparams.hparams({name: _number(value) for name, value in flags.items()})

    def write_row(self, row: Mapping[str, float | None]) -> None:
        """Adds an evaluation to the curves.

        Args:
            row: a row of metrics.csv: numbers by column, including `step`; None is left out.
        """
        with self._at(row["step"]):
            for column, value in row.items():
                if column != "step" and value is not None:
                    tf.summary.scalar(tag(column), value)

    def write_losses(self, step: int, predictions: Predictions) -> None:
        """Adds histograms of losses: of examples with right labels, and of those with wrong ones.

        Args:
            step: the step.
            predictions: predictions of training examples.
        """
        with self._at(step):
            for name, is_clean in [("clean", 1), ("wrong", 0)]:
                losses = predictions.loss[predictions.is_clean == is_clean]
                if losses.size:
                    tf.summary.histogram(f"loss_of_training_examples/{name}", losses)

    def write_picture(self, step: int, name: str, png: bytes) -> None:
        """Adds an image.

        Args:
            step: the step.
            name: the image's name.
            png: the image as a PNG file.
        """
        with self._at(step):
            tf.summary.image(name, tf.io.decode_png(png, channels=3)[None])


def _write_restart(folder, done):
    """Writes an event file of its own, as `tf.summary` can't: what follows begins after `done`."""
    protos: Any = event_pb2  # made at run time, so that their types are unknown
    log = protos.SessionLog(status=protos.SessionLog.START)
    events = (
        protos.Event(wall_time=time.time(), file_version="brain.Event:2"),
        protos.Event(wall_time=time.time(), step=done + 1, session_log=log),
    )
    # The mark makes it the first of its second.
    path = folder / f"events.out.tfevents.{int(time.time()):010d}.!restart-{os.getpid()}"
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())


def _number(text):
    """A flag's value as a number if it is one, for TensorBoard to sort runs by; else as text."""
    try:
        return float(text)
    except ValueError:
        return text


class Profile:
    """Profiles some steps, for TensorBoard's profiler (tensorboard-plugin-profile).

    A context manager, which ends a profile that is still running.

    Args:
        steps: the first and the last step, counted from 1; empty for no profile.
        folder: the folder for the profile.
    """

    def __init__(self, steps: Sequence[int], folder: epath.PathLike):
        self._first, self._last = steps or (0, 0)
        self._folder = epath.Path(folder)
        self._is_on = False

    def next_steps(self, first: int, last: int) -> None:
        """Starts or ends the profile as needed, before the steps from first to last are taken."""
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

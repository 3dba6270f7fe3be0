"""The rounds before a run: ordinary runs in rounds/ of its folder, and what comes of each.

rounds/flags.txt repeats the whole command. A round NAME has rounds/NAME.csv, the examples that it
trains on; rounds/NAME/, its run; and rounds/NAME.npz, the opinion of its network, from which the
next rounds follow. A command that is repeated takes opinions from there, so it goes on exactly
where it was.
"""

import dataclasses
import io
import logging
from typing import Any

import numpy as np
import tensorflow as tf
from etils import epath

from mentormix_tf import files, npz
from mentormix_tf.config import OutputConfig, RunConfig
from mentormix_tf.data import examples
from mentormix_tf.data.prepared import NoisySplits
from mentormix_tf.distribution import strategies
from mentormix_tf.errors import InputError
from mentormix_tf.rounds.incv import Opinion
from mentormix_tf.runs import saved_run
from mentormix_tf.training import surveys
from mentormix_tf.training.run import run

__all__ = ["RoundsFolder", "check_room"]

_log = logging.getLogger(__name__)


class RoundsFolder:
    """Trains rounds, and keeps what comes of them.

    Args:
        path: the folder, rounds/ in the folder of the run that they are for; it exists.
        config: the config of each round, but for the examples that it trains on.
        output: the output of the run that they are for.
        strategy: the devices to train on; with several workers, each calls everything here.
        data: the split, with the weights of the user's own examples file.
        count: how many rounds there will be.

    Attributes:
        steps: how many steps the rounds so far took.
        labels: `[n]`, int64, of the training examples.
    """

    def __init__(
        self,
        path: epath.Path,
        config: RunConfig,
        output: OutputConfig,
        strategy: tf.distribute.Strategy,
        data: NoisySplits,
        count: int,
    ):
        self.path, self.config, self.output, self.strategy = path, config, output, strategy
        self.data, self.count = data, count
        self.steps, self._done = 0, 0
        columns = examples.columns(data, "train", ["id", "label"])
        self._ids = [each.decode() for each in columns["id"]]
        self.labels = columns["label"]

    def train(self, name: str, chosen: np.ndarray) -> Opinion:
        """Trains a round, unless it is done, and returns its network's opinion.

        Args:
            name: the round's name.
            chosen: `[n]`, bool, which examples to train on.

        Raises:
            InputError, Preempted: see `run.run`.
        """
        self._done += 1
        steps = self.config.training.train_steps
        path = self.path / f"{name}.npz"
        if not strategies.all_agree(self.strategy, int(path.exists())):
            raise InputError(
                f"{path} is there on some workers only: name a model_dir on storage that all share."
            )
        if not path.exists():
            if strategies.is_chief(self.strategy):
                _log.info("Round %s, %d of %d: %d steps", name, self._done, self.count, steps)
            file = self.write(name, chosen)
            data = dataclasses.replace(self.config.data, examples_file=str(file))
            output = dataclasses.replace(self.output, model_dir=str(self.path / name))
            run(dataclasses.replace(self.config, data=data), output, self.strategy)
            if strategies.is_chief(self.strategy):
                self._write_opinion(name, path)
            strategies.wait_for_all(self.strategy)
        opinion, taken = self._read_opinion(path)
        self.steps += taken
        return opinion

    def write(self, name: str, chosen: np.ndarray) -> epath.Path:
        """Writes NAME.csv, an examples file with the chosen examples.

        Args:
            name: its name.
            chosen: `[n]`, bool.

        Returns:
            The file's path.

        Raises:
            InputError: it can't be written.
        """
        path, weights = self.path / f"{name}.csv", self.data.weights
        if strategies.is_chief(self.strategy):
            given = np.ones(len(chosen)) if weights is None else weights
            rows = zip(self._ids, given.tolist(), chosen.astype(int).tolist(), strict=True)
            sha256 = self.data.manifest["split_sha256"]
            table = files.csv_text([("id", "weight", "keep"), *rows])
            files.write(path, f"# split_sha256={sha256}\n{table}")
        strategies.wait_for_all(self.strategy)
        return path

    def _write_opinion(self, name, path):
        trained = saved_run.read(self.path / name)
        probabilities = surveys.of_run(trained, self.data).probabilities
        own = probabilities[np.arange(len(self.labels)), self.labels]
        buffer = io.BytesIO()
        np.savez(
            buffer,
            predicted=probabilities.argmax(axis=1).astype(np.int32),
            losses=-np.log(own + 1e-8),
            steps=trained.result["steps"],
            split_sha256=self.data.manifest["split_sha256"],
        )
        files.write(path, buffer.getvalue())

    def _read_opinion(self, path):
        count = len(self.labels)
        try:
            stored: dict[str, Any] = npz.arrays(files.contents(path), 16 * count + 2**20)
            opinion = Opinion(stored["predicted"], stored["losses"])
            steps, split = int(stored["steps"]), str(stored["split_sha256"])
        except npz.UNREADABLE as error:
            raise InputError(
                f"{path} can't be read ({files.reason(error)}): delete it, and it is made again."
            ) from error
        is_whole = opinion.predicted.shape == opinion.losses.shape == (count,)
        if not is_whole or split != self.data.manifest["split_sha256"]:
            raise InputError(
                f"{path} is of a run on other labels: restore the split, or name a new folder for "
                f"--model_dir instead of {path.parent.parent}."
            )
        return opinion, steps


def check_room(config: RunConfig, data: NoisySplits, labels: np.ndarray) -> None:
    """Checks that each half of the training examples is enough to train on.

    Args:
        config: the run.
        data: its split.
        labels: `[n]`, of the examples to train on.

    Raises:
        InputError: a class has fewer than two examples, or a half fewer than a batch.
    """
    counts, rounds = np.bincount(labels, minlength=len(data.class_names)), config.training.rounds
    if counts.min() < 2:
        raise InputError(
            f"rounds={rounds} cuts the training examples into two halves, but class "
            f"{data.class_names[int(counts.argmin())]} has {counts.min()}: add some, or leave out "
            "--rounds."
        )
    if len(labels) // 2 < config.training.batch_size:
        raise InputError(
            f"batch_size={config.training.batch_size} is larger than a half of the "
            f"{len(labels):,} training examples, on which rounds={rounds} trains: choose a smaller "
            "one."
        )

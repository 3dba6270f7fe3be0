"""The rounds before a run: ordinary runs in rounds/ of its folder, and what comes of each.

rounds/flags.txt repeats the whole command. A round NAME has rounds/NAME.csv, the examples that it
trains on; rounds/NAME/, its run; and rounds/NAME.npz, the opinion of its network, from which the
next rounds follow. A command that is repeated takes opinions from there, so it goes on exactly
where it was.
"""

import dataclasses
import hashlib
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from etils import epath

from mentormix_tf import files, npz
from mentormix_tf.config import OutputConfig, RunConfig
from mentormix_tf.data import examples
from mentormix_tf.data.prepared import NoisySplits
from mentormix_tf.data.service import NO_SERVERS, Servers
from mentormix_tf.distribution import strategies
from mentormix_tf.errors import InputError
from mentormix_tf.inference.features import FeatureLayer
from mentormix_tf.rounds import opinion
from mentormix_tf.rounds.opinion import Opinion
from mentormix_tf.runs import saved_run
from mentormix_tf.training import surveys
from mentormix_tf.training.run import run

__all__ = ["Outcome", "RoundsFolder"]

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What rounds leave to the run that follows them.

    Attributes:
        keep: `[n]`, bool, which examples to train on; None for all that the user keeps.
        weights: `[n]`, float, what the examples' losses are multiplied by, besides the user's own
            weights; None for 1.
        starts: `[n]`, float, the share of training, in [0, 1), from which on each example takes
            part; None for the user's own, or 0.
        transition_matrix: `[num_classes, num_classes]`, float64, the probability of each label
            (column) for each true class (row); None if it was not estimated.
        facts: what result.json says of the rounds, besides what true labels tell.
    """

    keep: np.ndarray | None = None
    weights: np.ndarray | None = None
    starts: np.ndarray | None = None
    transition_matrix: np.ndarray | None = None
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class RoundsFolder:
    """Trains rounds, and keeps what comes of them.

    Args:
        path: the folder, rounds/ in the folder of the run that they are for; it exists.
        config: the config of each round, but for the examples that it trains on.
        output: the output of the run that they are for.
        strategy: the devices to train on; with several workers, each calls everything here.
        data: the split, with the weights of the user's own examples file.
        count: how many rounds there will be.
        servers: what makes the training batches instead of this process.

    Attributes:
        steps: how many steps the rounds so far took.
        labels: `[n]`, int64, of all training examples.
        kept: `[n]`, bool, those that the user's examples file keeps; None for all.
        verified: `[n]`, int64: 1 where a person found the label right, 0 where wrong, else -1.
        num_classes: number of classes.
    """

    def __init__(
        self,
        path: epath.Path,
        config: RunConfig,
        output: OutputConfig,
        strategy: tf.distribute.Strategy,
        data: NoisySplits,
        count: int,
        servers: Servers = NO_SERVERS,
    ):
        self.path, self.config, self.output, self.strategy = path, config, output, strategy
        self.data, self.count, self._servers = data, count, servers
        self.steps, self._done = 0, 0
        columns = examples.columns(data, "train", ["id", "label", "verified"])
        self._ids = [each.decode() for each in columns["id"]]
        self.labels, self.verified, self.kept = columns["label"], columns["verified"], data.kept
        self.num_classes = len(data.class_names)

    def train(
        self, name: str, keep: np.ndarray | None = None, layers: Sequence[FeatureLayer] = ()
    ) -> Opinion:
        """Trains a round, unless it is done, and returns its network's opinion.

        Args:
            name: the round's name.
            keep: `[n]`, bool, which examples to train on; None for all that the user keeps.
            layers: the layer whose features the opinion has, if any.

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
            file = self.write(name, Outcome(keep))
            data = dataclasses.replace(self.config.data, examples_file=str(file))
            own = str(self.path / name)
            output = dataclasses.replace(self.output, model_dir=own, tracker="none")
            config = dataclasses.replace(self.config, data=data)
            run(config, output, self.strategy, servers=self._servers)
            if strategies.is_chief(self.strategy):
                self._write_opinion(name, path, layers)
            strategies.wait_for_all(self.strategy)
        found, taken = opinion.read(path, len(self.labels), self.data.manifest["split_sha256"])
        if layers and found.features is None:
            raise InputError(f"{path} has no features: delete it, and it is made again.")
        self.steps += taken
        return found

    def computed(self, name: str, compute: Callable[[], np.ndarray]) -> np.ndarray:
        """A value for each example, which is computed once and kept in NAME.npz.

        So a command that is repeated gets the same one, whatever the machine. With several workers,
        the first computes it.

        Args:
            name: its name.
            compute: returns it, `[n, ...]`, from the opinions of rounds, labels and `verified`.

        Raises:
            InputError: the file can't be written or read, or is of other verified labels.
        """
        path = self.path / f"{name}.npz"
        verified = hashlib.sha256(self.verified.astype("<i8").tobytes()).hexdigest()
        if strategies.is_chief(self.strategy) and not path.exists():
            buffer = io.BytesIO()
            np.savez(buffer, values=compute(), verified_sha256=verified)
            files.write(path, buffer.getvalue())
        strategies.wait_for_all(self.strategy)
        try:
            stored = npz.arrays(files.contents(path), 2**36)
            values, known = stored["values"], str(stored["verified_sha256"])
            if len(values) != len(self.labels):
                raise ValueError(f"it has {len(values):,} values for {len(self.labels):,} examples")
        except (*npz.UNREADABLE, TypeError) as error:
            raise InputError(
                f"{path} can't be read ({files.reason(error)}): delete it, and it is made again."
            ) from error
        if known != verified:
            raise InputError(
                f"{path} is of other verified labels: restore these, or name a new folder for "
                f"--model_dir instead of {self.path.parent}."
            )
        return values

    def write(self, name: str, outcome: Outcome) -> epath.Path:
        """Writes NAME.csv, an examples file with what an outcome says of the examples.

        Args:
            name: its name.
            outcome: the outcome.

        Returns:
            The file's path.

        Raises:
            InputError: it can't be written.
        """
        path, weights = self.path / f"{name}.csv", self.data.weights
        if strategies.is_chief(self.strategy):
            count, keep = len(self.labels), self.kept if outcome.keep is None else outcome.keep
            given = np.ones(count) if weights is None else weights
            columns = {
                "weight": given if outcome.weights is None else given * outcome.weights,
                "keep": np.ones(count, int) if keep is None else keep.astype(int),
            }
            starts = self.data.starts if outcome.starts is None else outcome.starts
            columns |= {} if starts is None else {"start": starts}
            rows = zip(self._ids, *(each.tolist() for each in columns.values()), strict=True)
            sha256 = self.data.manifest["split_sha256"]
            table = files.csv_text([("id", *columns), *rows])
            files.write(path, f"# split_sha256={sha256}\n{table}")
        strategies.wait_for_all(self.strategy)
        return path

    def _write_opinion(self, name, path, layers):
        trained = saved_run.read(self.path / name)
        found = opinion.of_survey(
            surveys.of_run(trained, self.data, layers), self.labels, self.kept
        )
        opinion.write(path, found, trained.result["steps"], self.data.manifest["split_sha256"])

"""Checkpoints: everything that a run needs to resume as if it had never stopped.

`checkpoints/` has the latest few, `checkpoints/best/` the one with the highest accuracy on the
noisy validation split. Both are written by `tf.train.CheckpointManager`, and any TensorFlow program
can read them. TensorFlow writes a checkpoint's index last, with a checksum of every value, so an
incomplete checkpoint is recognized.
"""

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from etils import epath

from mentormix_tf.distribution import replicas
from mentormix_tf.errors import InputError
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.runs import checkpoint_files, layout

__all__ = ["Checkpoints", "variables"]

_log = logging.getLogger(__name__)


class Checkpoints:
    """Saves and restores a run.

    Args:
        model: the model, compiled, with all its variables built.
        folder: the folder for checkpoints, which may be remote.
        keep: how many of the latest checkpoints to keep.
        writes: whether this process writes; the others only read.
    """

    def __init__(
        self, model: NoisyLabelModel, folder: epath.PathLike, keep: int, writes: bool = True
    ):
        self.folder = epath.Path(folder)
        self.writes = writes
        self._progress = _Progress()
        self._metric_sums = _MetricSums(model)
        self._checkpoint = tf.train.Checkpoint(**variables(model), progress=self._progress)
        self._keep = keep
        self._managers = {}

    def steps(self) -> list[int]:
        """The training steps of the checkpoints in the folder, the latest last."""
        return [checkpoint_files.step_of(path) for path in checkpoint_files.saved(self.folder)]

    def restore(self) -> dict[str, Any] | None:
        """Restores the model from the latest checkpoint that can be read.

        Returns:
            The progress given to `save`; None if no checkpoint can be read, which leaves the model
            unchanged.

        Raises:
            InputError: the checkpoint belongs to another model.
        """
        path = next(filter(_is_whole, reversed(checkpoint_files.saved(self.folder))), None)
        if path is None:
            return None
        try:
            self._checkpoint.restore(path).assert_consumed()
        except (AssertionError, ValueError) as error:
            raise InputError(
                f"{path} does not match this model, as another version of the code wrote it: "
                "resume with that version, or name a new folder."
            ) from error
        progress = dict(self._progress.value)
        self._metric_sums.set(progress.pop("metric_sums"))
        return progress

    def save(self, step: int, progress: Mapping[str, Any]) -> None:
        """Saves the model and the run's progress. With several workers, all call it.

        Args:
            step: how many steps are done.
            progress: the progress, which must be valid JSON.

        Raises:
            InputError: the checkpoint can't be written; earlier ones are unchanged.
        """
        self._write(self.folder, self._keep, step, progress)

    def save_best(self, step: int, progress: Mapping[str, Any]) -> None:
        """Saves the model as the best so far, right after an evaluation; see `save`."""
        self._write(self.folder / layout.BEST, 1, step, progress)

    def _write(self, folder, keep, step, progress):
        sums = self._metric_sums.get().tolist()
        if not self.writes:
            return
        self._progress.value = {**progress, "metric_sums": sums}
        try:
            if folder not in self._managers:
                self._managers[folder] = _manager(self._checkpoint, folder, keep)
            self._managers[folder].save(checkpoint_number=step)
        except (tf.errors.OpError, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            reason = re.sub(r"\{\{.*?\}\} ", "", reason)  # names of TensorFlow's functions
            kept = self.steps()
            raise InputError(
                f"The checkpoint of step {step} can't be written to {folder} ({reason}): make room "
                "or fix that, and repeat the same command, which resumes from "
                f"step {kept[-1] if kept else 0}."
            ) from error


def variables(model: NoisyLabelModel) -> dict[str, list[tf.Variable]]:
    """The variables of a model that a checkpoint holds, by the part that they belong to.

    Args:
        model: the model, compiled.

    Returns:
        Lists by name: `network`, in the order of `model.network.variables`; `average`, if one is
        kept, in the order of the network's trainable weights; `optimizer`; and `method`, all
        others except those of metrics. Empty lists are left out.
    """
    parts = {
        "network": model.network.variables,
        "average": model.weight_average.averages if model.ema_decay else [],
        "optimizer": model.optimizer.variables,
    }
    taken = {id(v) for part in parts.values() for v in part}
    taken |= {id(v) for metric in model.metrics for v in metric.variables}
    parts["method"] = [v for v in model.variables if id(v) not in taken]
    return {name: [v.value for v in part] for name, part in parts.items() if part}


class _Progress(tf.train.experimental.PythonState):
    """A dict that a checkpoint holds as JSON."""

    def __init__(self):
        self.value: dict[str, Any] = {}

    def serialize(self):
        return json.dumps(self.value)

    def deserialize(self, text):
        self.value = json.loads(text)


def _is_whole(path):
    """Whether all of a checkpoint can be read; logs a warning if not."""
    try:
        reader = checkpoint_files.read(path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)  # verifies its checksum
        return True
    except checkpoint_files.UNREADABLE as error:
        reason = str(error).strip().splitlines()[0]
        _log.warning("%s can't be read (%s): trying the checkpoint before it", path, reason)
        return False


def _manager(checkpoint, folder, keep):
    """A manager of a folder's checkpoints, after deleting what an interrupted save left there."""
    paths = checkpoint_files.saved(folder)
    for file in checkpoint_files.leftovers(folder):
        file.rmtree() if file.is_dir() else file.unlink()
    if paths:  # the manager trusts a file that lists them, which may be lost or out of date
        tf.compat.v1.train.update_checkpoint_state(
            str(folder),
            paths[-1],
            paths,
            # It deletes only those that are newer than the last one to be preserved.
            all_model_checkpoint_timestamps=[float(checkpoint_files.step_of(p)) for p in paths],
            last_preserved_timestamp=-1.0,
        )
    return tf.train.CheckpointManager(checkpoint, str(folder), keep, checkpoint_name="step")


class _MetricSums:
    """The metrics' sums on each replica since they were reset: `[replicas, sums]`, float32.

    Each replica sums its own values, and a sum of floats depends on its order: for a run to resume
    as if it had not stopped, each replica must start from its own sums.
    """

    def __init__(self, model):
        self._strategy = model.distribute_strategy
        self._variables = [v for metric in model.metrics for v in metric.variables]
        run = self._strategy.run
        self._read = tf.function(lambda: run(self._read_one), autograph=False)
        self._write = tf.function(lambda sums: run(self._write_one, args=(sums,)), autograph=False)

    def get(self):
        return self._strategy.experimental_local_results(self._read())[0].numpy()

    def set(self, sums):
        """Restores each replica's sums; the first gets the total if their number has changed."""
        sums, count = np.asarray(sums, np.float32), self._strategy.num_replicas_in_sync
        if len(sums) != count:
            rest = np.zeros([count - 1, sums.shape[1]], np.float32)
            sums = np.concatenate([sums.sum(axis=0)[None], rest])
        self._write(tf.constant(sums))

    def _read_one(self):
        return replicas.gather(tf.stack([tf.convert_to_tensor(v) for v in self._variables])[None])

    def _write_one(self, sums):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        for variable, value in zip(self._variables, tf.unstack(sums[replica]), strict=True):
            variable.assign(value)

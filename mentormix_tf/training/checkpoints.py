"""Checkpoints: all that a run needs to continue as if it had never stopped.

`checkpoints/` has the latest few, `checkpoints/best/` the one with the highest accuracy on the
noisy validation split. Both are written by `tf.train.CheckpointManager`, and any TensorFlow program
can read them. TensorFlow writes a checkpoint's index last, with a checksum of every value, so that
a checkpoint that was cut short is recognized.
"""

import json
import logging
import re

import numpy as np
import tensorflow as tf
from etils import epath

from mentormix_tf.distribution import replicas
from mentormix_tf.errors import InputError
from mentormix_tf.runs import checkpoint_files, layout

_log = logging.getLogger(__name__)


class Checkpoints:
    """Saves and restores a run.

    Args:
        model: `NoisyLabelModel`, compiled, with all its variables made.
        folder: where checkpoints are kept, which may be remote.
        keep: how many of the latest there are.
        writes: whether this process is the one that writes; all others only read.
    """

    def __init__(self, model, folder, keep, writes=True):
        self.folder = epath.Path(folder)
        self.writes = writes
        self._progress = _Progress()
        self._metric_sums = _MetricSums(model)
        self._checkpoint = tf.train.Checkpoint(**variables(model), progress=self._progress)
        self._keep = keep
        self._managers = {}

    def steps(self):
        """The steps of the checkpoints that are kept, the latest last."""
        return [checkpoint_files.step_of(path) for path in checkpoint_files.saved(self.folder)]

    def restore(self):
        """Restores the latest checkpoint that can be read.

        Returns:
            What `save` was given as progress; None if there is no checkpoint to read, and the model
            is as it was.

        Raises:
            InputError: the checkpoint is of another model.
        """
        path = next(filter(_is_whole, reversed(checkpoint_files.saved(self.folder))), None)
        if path is None:
            return None
        try:
            self._checkpoint.restore(path).assert_consumed()
        except (AssertionError, ValueError) as error:
            raise InputError(
                f"{path} is not of this model: it was written by another version of the code. Go "
                "on with that version, or name a new folder."
            ) from error
        progress = self._progress.value
        self._metric_sums.set(progress.pop("metric_sums"))
        return progress

    def save(self, step, progress):
        """Saves the model and how far it has come. With several workers, all call it.

        Args:
            step: how many steps are done.
            progress: dict that JSON can hold.

        Raises:
            InputError: it can't be written; earlier checkpoints are as they were.
        """
        self._write(self.folder, self._keep, step, progress)

    def save_best(self, step, progress):
        """Saves the model as the best so far, just after an evaluation; see `save`."""
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
            reason = re.sub(r"\{\{.*?\}\} ", "", reason)  # names of TensorFlow's own functions
            kept = self.steps()
            raise InputError(
                f"The checkpoint of step {step} can't be written to {folder} ({reason}):"
                " make room or mend that, and give the same command again, which goes on from "
                f"step {kept[-1] if kept else 0}."
            ) from error


def variables(model):
    """What a checkpoint holds of a model: lists of variables by what they belong to.

    Args:
        model: `NoisyLabelModel`, compiled.

    Returns:
        Dict: network, in the order of `model.network.variables`; average, where one is kept, in
        that of its trainable weights; optimizer; and method, all that is left but the metrics.
    """
    parts = {
        "network": model.network.variables,
        "average": model.weight_average.averages if model.average_decay else [],
        "optimizer": model.optimizer.variables,
    }
    taken = {id(v) for part in parts.values() for v in part}
    taken |= {id(v) for metric in model.metrics for v in metric.variables}
    parts["method"] = [v for v in model.variables if id(v) not in taken]
    return {name: [v.value for v in part] for name, part in parts.items() if part}


class _Progress(tf.train.experimental.PythonState):
    """A dict that goes into a checkpoint as JSON."""

    value = None

    def serialize(self):
        return json.dumps(self.value)

    def deserialize(self, text):
        self.value = json.loads(text)


def _is_whole(path):
    """Whether all of a checkpoint can be read; warns where it can't."""
    try:
        reader = checkpoint_files.read(path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)  # checks its checksum
        return True
    except checkpoint_files.UNREADABLE as error:
        reason = str(error).strip().splitlines()[0]
        _log.warning("%s can't be read (%s): going further back", path, reason)
        return False


def _manager(checkpoint, folder, keep):
    """A manager of all that is in a folder, cleared of what a save that was cut short has left."""
    paths = checkpoint_files.saved(folder)
    for file in folder.glob("step-*") if folder.exists() else ():
        if not any(file.name.startswith(f"{epath.Path(path).name}.") for path in paths):
            file.rmtree() if file.is_dir() else file.unlink()
    if paths:  # the manager goes by a file that lists them, which may be lost, or lag behind
        names = [epath.Path(path).name for path in paths]
        listed = "".join(f'all_model_checkpoint_paths: "{name}"\n' for name in names)
        (folder / "checkpoint").write_text(f'model_checkpoint_path: "{names[-1]}"\n{listed}')
    return tf.train.CheckpointManager(checkpoint, str(folder), keep, checkpoint_name="step")


class _MetricSums:
    """What the metrics have summed on each replica since they were reset: `[replicas, sums]`.

    Replicas sum by themselves, and a sum of floats depends on its order: for a run to go on as if
    it had not stopped, each replica has to go on from its own.
    """

    def __init__(self, model):
        self._strategy = model.distribute_strategy
        self._variables = [v for metric in model.metrics for v in metric.variables]
        self._read = tf.function(lambda: self._strategy.run(self._read_one))
        self._write = tf.function(lambda sums: self._strategy.run(self._write_one, args=(sums,)))

    def get(self):
        return self._strategy.experimental_local_results(self._read())[0].numpy()

    def set(self, sums):
        """Gives each replica its own; the first has those of all if there were more or fewer."""
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

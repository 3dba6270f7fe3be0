"""Finding and reading the checkpoints of a run, of which TensorFlow writes several files each."""

import tensorflow as tf

# What TensorFlow raises for files that are missing, damaged or cut short.
UNREADABLE = (tf.errors.OpError, IndexError, ValueError)


def saved(folder):
    """The checkpoints in a folder, by what is there: paths without their endings, latest last.

    Args:
        folder: `epath.Path`.
    """
    indexes = folder.glob("step-*.index") if folder.exists() else ()
    return sorted((str(path).removesuffix(".index") for path in indexes), key=step_of)


def read(path):
    """A `tf.train.CheckpointReader` of a checkpoint. Raises one of `UNREADABLE`."""
    # tf.train.load_checkpoint takes what is not there as a file for a folder on some file systems.
    return tf.compat.v1.train.NewCheckpointReader(str(path))


def step_of(path):
    """The step of a checkpoint, from its path."""
    return int(path.rpartition("-")[2])

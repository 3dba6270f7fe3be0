"""Finds and reads the checkpoints of a run, each of which is several files."""

import re
from typing import Any

import tensorflow as tf
from etils import epath

__all__ = ["UNREADABLE", "leftovers", "read", "saved", "step_of"]

# What TensorFlow raises for files that are missing, damaged or cut short.
UNREADABLE = (tf.errors.OpError, IndexError, ValueError)


def saved(folder: epath.Path) -> list[str]:
    """Lists the checkpoints in a folder: paths as TensorFlow takes them, latest last."""
    files = folder.iterdir() if folder.exists() else ()
    indexes = [str(path) for path in files if re.fullmatch(r"step-\d+\.index", path.name)]
    return sorted((path.removesuffix(".index") for path in indexes), key=step_of)


def leftovers(folder: epath.Path) -> list[epath.Path]:
    """Lists what interrupted saves left in a folder: parts of checkpoints that are not whole."""
    whole = {epath.Path(path).name for path in saved(folder)}
    written = [
        (path, re.match(r"(step-\d+)(\.|_temp)", path.name))
        for path in (folder.iterdir() if folder.exists() else ())
    ]
    return [
        path for path, match in written if match and (match[1] not in whole or "temp" in path.name)
    ]


def read(path: str) -> Any:
    """Opens a checkpoint.

    Args:
        path: as `saved` returns it.

    Returns:
        A `tf.train.CheckpointReader`, which TensorFlow does not export as a type.

    Raises:
        UNREADABLE: one of these errors, if the checkpoint is missing or damaged.
    """
    # tf.train.load_checkpoint takes a path without a file for a folder on some file systems.
    return tf.compat.v1.train.NewCheckpointReader(path)


def step_of(path: str) -> int:
    """The training step of a checkpoint, from its path."""
    return int(path.rpartition("-")[2])

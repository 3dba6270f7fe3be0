"""Writes a run's network as one Keras file, from which another run can start."""

import os
import pathlib
import tempfile

from mentormix_tf import files
from mentormix_tf.errors import InputError
from mentormix_tf.runs.saved_run import TrainedNetwork

__all__ = ["check", "write"]


def check(path: str) -> None:
    """Raises InputError if no network can be written to a file of this name."""
    if not path.endswith(".keras"):
        raise InputError(f"keras_file={path} must have a name that ends with .keras.")
    file = files.expanded(path, "keras_file")
    if files.is_remote(file):
        raise InputError(f"keras_file={path} must be a local file.")
    if os.path.lexists(file):
        raise InputError(f"keras_file={path} exists: name a new file, or move that one away.")
    if not file.parent.is_dir():
        raise InputError(f"keras_file={path} can't be written: {file.parent} is not a folder.")


def write(trained: TrainedNetwork, path: str) -> pathlib.Path:
    """Writes a network, whole or not at all.

    It takes images `[batch, height, width, channels]`, float32 in [0, 255], and returns logits.
    `keras.models.load_model` loads it, and the train command starts from it by `--network`.

    Args:
        trained: the network.
        path: the file, which must not exist; its name ends with .keras.

    Returns:
        The file's path.

    Raises:
        InputError: the file exists or can't be written.
    """
    check(path)
    file = pathlib.Path(files.expanded(path, "keras_file"))
    try:
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".keras-") as folder:
            beside = pathlib.Path(folder) / file.name
            trained.network.save(beside)
            os.link(beside, file)  # unlike a renaming, it fails if the file exists by now
    except OSError as error:
        raise InputError(f"keras_file={path} can't be written: {files.reason(error)}.") from error
    return file

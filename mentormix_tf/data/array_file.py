"""Arrays of numbers in files that others have written."""

import csv
import json
import os
import pathlib

import numpy as np

from mentormix_tf import files
from mentormix_tf.errors import InputError, excerpt

__all__ = ["read"]


def read(path: str | os.PathLike, setting: str) -> np.ndarray:
    """Reads an array of numbers from a .npy, .csv or .json file.

    Args:
        path: the file.
        setting: the flag that names the file, for errors.

    Returns:
        Of any shape, float64, finite.

    Raises:
        InputError: the file can't be read, or holds something else.
    """
    path = pathlib.Path(path)
    if path.suffix not in (".npy", ".csv", ".json"):
        raise InputError(f"{setting}={path} must be a .npy, .csv or .json file.")
    try:
        array = _parse(path)
        if array.dtype.kind not in "iuf":
            raise ValueError("it does not hold numbers")
        if not np.isfinite(array).all():
            raise ValueError("it has numbers that are not finite")
    except (OSError, ValueError, EOFError, MemoryError, RecursionError, SyntaxError) as error:
        reason = excerpt(files.reason(error))
        raise InputError(f"{setting}={path} can't be read: {reason}.") from error
    return array.astype(np.float64)


def _parse(path: pathlib.Path) -> np.ndarray:
    if path.suffix == ".npy":
        array = np.load(path, allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it is an archive instead of an array")
        return array
    text = path.read_bytes().decode("utf-8-sig")
    if path.suffix == ".json":
        return np.asarray(json.loads(text))
    rows = [row for row in csv.reader(text.splitlines()) if row]
    return np.array(rows, np.float64)

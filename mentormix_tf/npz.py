"""Reads .npz files of others: arrays without pickled objects, of a limited size."""

import io
import zipfile

import numpy as np

__all__ = ["UNREADABLE", "arrays"]

# What NumPy raises for files that are damaged, of another kind, or hold pickled objects.
UNREADABLE = (OSError, ValueError, EOFError, KeyError, MemoryError, zipfile.BadZipFile)


def arrays(encoded: bytes, most_bytes: int) -> dict[str, np.ndarray]:
    """Reads the arrays of a .npz file.

    Args:
        encoded: the contents of the file.
        most_bytes: the most that its arrays may have together, uncompressed.

    Returns:
        The arrays by name.

    Raises:
        UNREADABLE: one of these errors, if it is no such file, or its arrays are larger.
    """
    with zipfile.ZipFile(io.BytesIO(encoded)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > most_bytes:
        raise ValueError(f"its arrays have {size:,} bytes instead of at most {most_bytes:,}")
    with np.load(io.BytesIO(encoded), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}

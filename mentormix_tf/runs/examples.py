"""examples.npz: what a run recorded of each training example."""

import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath

from mentormix_tf import files, npz
from mentormix_tf.errors import InputError

__all__ = ["read", "write"]

# Statistics with one value for each half of training, of which v and probabilities may be missing.
_HALVES = ("count", "margin", "log_probability", "agreement", "v")
_WHOLE = ("forgetting_events", "rival")
_OPTIONAL = ("v", "probabilities")


def write(path: epath.Path, statistics: Mapping[str, np.ndarray], split_sha256: str) -> None:
    """Writes examples.npz.

    Args:
        path: the file.
        statistics: from `ExampleStatistics.read`.
        split_sha256: that of the split whose examples these are, in the order of its files.

    Raises:
        InputError: the file can't be written.
    """
    packed = io.BytesIO()
    arrays: dict[str, Any] = {**statistics, "split_sha256": np.array(split_sha256)}
    np.savez_compressed(packed, **arrays)
    files.write(path, packed.getvalue())


def read(
    path: epath.Path, split_sha256: str, num_examples: int, num_classes: int
) -> dict[str, np.ndarray]:
    """Reads what `write` wrote.

    Args:
        path: the file.
        split_sha256: that of the split.
        num_examples: number of training examples in the split.
        num_classes: number of its classes.

    Returns:
        Arrays by name, see `ExampleStatistics.read`.

    Raises:
        InputError: the file can't be read, is of another split, or holds something else.
    """
    shapes: dict[str, tuple[int, ...]] = {name: (num_examples, 2) for name in _HALVES}
    shapes |= {name: (num_examples,) for name in _WHOLE}
    shapes["probabilities"] = (num_examples, 2, num_classes)
    most_bytes = 2**20 + 8 * sum(map(math.prod, shapes.values()))
    try:
        found = npz.arrays(path.read_bytes(), most_bytes)
    except npz.UNREADABLE as error:
        raise InputError(f"{path} can't be read: {files.reason(error)}.") from error
    written_for = str(found.pop("split_sha256", ""))
    if written_for != split_sha256:
        raise InputError(
            f"{path} has statistics of another split ({written_for[:8]} instead of "
            f"{split_sha256[:8]}): train again with --audit."
        )
    for name, shape in shapes.items():
        value = found.get(name)
        if value is None and name in _OPTIONAL:
            continue
        if value is None or value.shape != shape or value.dtype.kind not in "fi":
            raise InputError(f"{path} has no {name} of shape {shape}: train again with --audit.")
    rival = found["rival"]
    if rival.dtype.kind != "i" or not ((rival >= 0) & (rival < num_classes)).all():
        raise InputError(f"{path} has a rival that is no class: train again with --audit.")
    return {name: found[name] for name in shapes if name in found}

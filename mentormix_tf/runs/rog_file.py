"""rog.npz: the heads by which a run with `--inference=rog` classifies."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from etils import epath

from mentormix_tf import files, npz
from mentormix_tf.errors import InputError
from mentormix_tf.inference.features import FeatureLayer
from mentormix_tf.inference.rog import Head

__all__ = ["read", "write"]

_MOST_BYTES = 2**31


def write(path: epath.Path, heads: Mapping[str, Sequence[Head]]) -> None:
    """Writes rog.npz.

    Args:
        path: the file.
        heads: by the weights on whose features they were fitted: last, best or averaged.

    Raises:
        InputError: the file can't be written.
    """
    arrays = {
        f"{weights}/{head.layer}/{name}": getattr(head, name)
        for weights, each in heads.items()
        for head in each
        for name in ("kernel", "bias")
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # pyright: ignore[reportArgumentType]
    files.write(path, buffer.getvalue())


def read(
    path: epath.Path, weights: str, layers: Sequence[FeatureLayer], num_classes: int
) -> list[Head]:
    """Reads the heads for some weights.

    Args:
        path: the file.
        weights: last, best or averaged.
        layers: the layers that they look at, in order.
        num_classes: number of classes.

    Raises:
        InputError: the file is not there yet, can't be read, or holds something else.
    """
    if not path.exists():
        raise InputError(
            f"{path} is not there yet: a run with inference=rog writes it when its steps are done."
        )
    try:
        stored = npz.arrays(files.contents(path), _MOST_BYTES)
        found = [
            Head(layer, stored[f"{weights}/{layer}/kernel"], stored[f"{weights}/{layer}/bias"])
            for layer in layers
        ]
    except npz.UNREADABLE as error:
        raise InputError(
            f"{path} can't be read as this run's heads: {files.reason(error)}."
        ) from error
    for head in found:
        is_float = head.kernel.dtype == head.bias.dtype == np.float32
        shapes_fit = head.kernel.ndim == 2 and head.bias.shape == (num_classes,)
        if not (is_float and shapes_fit and head.kernel.shape[1] == num_classes):
            raise InputError(f"{path} does not hold heads of {num_classes} classes: restore it.")
    return found

"""The paper's experiments: flagfiles and studies that are installed with the package."""

import os
import pathlib

__all__ = ["find"]

_HERE = pathlib.Path(__file__).parent


def find(path: str | os.PathLike, folder: str | os.PathLike = "") -> pathlib.Path:
    """Finds a file of the user's, or otherwise the shipped file of that name.

    Shipped files are therefore found from any folder, as in `flags/cifar10/symmetric_40.flags`.

    Args:
        path: path of the user's file, or name of a shipped file, such as `studies/digits.yaml`.
        folder: folder that relative paths start from; the current folder by default.

    Returns:
        The user's path, with `~` expanded, if it exists; otherwise the path of the shipped file if
        there is one; otherwise the user's path, for the caller to report as missing.
    """
    own = pathlib.Path(folder, os.path.expanduser(path))
    shipped = _HERE / path
    is_shipped = shipped.suffix in (".flags", ".yaml") and os.path.isfile(shipped)
    return shipped if is_shipped and not os.path.exists(own) else own

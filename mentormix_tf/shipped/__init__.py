"""The paper's experiments, as flagfiles and studies that are installed with the package."""

import os
import pathlib

_HERE = pathlib.Path(__file__).parent


def find(path: str | os.PathLike, folder: str | os.PathLike = "") -> pathlib.Path:
    """Finds a file of the user's, or else the shipped one of that name.

    So `flags/cifar10/symmetric_40.flags` means the same in every folder.

    Args:
        path: where the file is, or a shipped file's name, such as `studies/digits.yaml`.
        folder: where relative paths begin; the current folder by default.

    Returns:
        The path, with `~` expanded, if it exists; else that of the shipped file, if there is one;
        else the path again, for the caller to report as missing.
    """
    own = pathlib.Path(folder, os.path.expanduser(path))
    shipped = _HERE / path
    is_shipped = shipped.suffix in (".flags", ".yaml") and os.path.isfile(shipped)
    return shipped if is_shipped and not os.path.exists(own) else own

"""Files that must be downloaded by hand: finds them, checks them, and reads lists of images."""

import functools
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from etils import epath

from mentormix_tf import files
from mentormix_tf.data.sources.images_on_demand import ImagesOnDemand
from mentormix_tf.errors import InputError

__all__ = ["manual_dir", "missing_files", "read_bytes", "read_list", "require"]


def manual_dir(data_dir: str) -> epath.Path:
    """Returns the folder in which TFDS looks for files that were downloaded by hand."""
    return files.expanded(data_dir, "data_dir") / "downloads" / "manual"


def require(
    dataset: str,
    folder: epath.Path,
    names: Collection[str] | Mapping[str, int | None],
    page: str,
) -> None:
    """Checks that files or folders exist and, if their sizes are known, that they are complete.

    Args:
        dataset: name of the data set, for the error message.
        folder: the folder that must have them.
        names: their paths in the folder, or a mapping from path to size in bytes, None for any
            size.
        page: where to download them, and what to do with them, for the error message.

    Raises:
        InputError: some are missing (the message names up to three), or one has another size.
    """
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise InputError(
            f"dataset={dataset} needs {', '.join(missing[:3])}{more} in {folder}: download what "
            f"is missing by hand from {page}."
        )
    for name, size in names.items() if isinstance(names, Mapping) else ():
        found = files.size(folder / name)
        if size is not None and found != size:
            raise InputError(
                f"dataset={dataset}: {folder / name} has {found} bytes instead of {size}: "
                f"download it again from {page}."
            )


def read_list(path: epath.Path, classes: int) -> tuple[list[str], np.ndarray]:
    """Reads a list of images that has a line `name label` for each.

    Args:
        path: the list.
        classes: number of classes.

    Returns:
        The n names, each different, and their labels, `[n]`, int64.

    Raises:
        InputError: a line has another format, a label that is not a class, or a name that is
            already listed.
    """
    labels = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        name, label = [*line.rsplit(maxsplit=1), ""][:2]
        if not (label.isascii() and label.isdigit()) or int(label) >= classes:
            raise InputError(
                f"{path} has {line.strip()!r} in line {number}: a file name and a label from 0 to "
                f"{classes - 1} are expected, so download the list again."
            )
        if name in labels:
            raise InputError(
                f"{path} lists {name} again in line {number}: download the list again."
            )
        labels[name] = int(label)
    return list(labels), np.array(list(labels.values()), np.int64)


def missing_files(folder: epath.Path, names: Collection[str]) -> set[str]:
    """Returns the names that are not in a folder, listing each of its subfolders only once.

    Args:
        folder: the folder that should have the files.
        names: paths in it.
    """
    missing = set(names)
    for parent in {name.rpartition("/")[0] for name in names}:
        if (folder / parent).is_dir():
            prefix = f"{parent}/" if parent else ""
            missing.difference_update(prefix + file.name for file in (folder / parent).iterdir())
    return missing


def read_bytes(folder: epath.Path, names: Sequence[str]) -> ImagesOnDemand:
    """Returns the contents of image files, each of which is read when it is asked for.

    Args:
        folder: the folder of the files.
        names: paths in it.
    """
    return ImagesOnDemand(names, functools.partial(_read, folder))


def _read(folder: epath.Path, name: str) -> bytes:
    return (folder / name).read_bytes()

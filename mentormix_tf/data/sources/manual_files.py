"""Files that must be downloaded by hand: finds them, checks them, and reads lists of images."""

import functools
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from etils import epath

from mentormix_tf import files
from mentormix_tf.data.sources.images_on_demand import ImagesOnDemand
from mentormix_tf.errors import InputError, excerpt

__all__ = [
    "manual_dir",
    "missing_files",
    "read_bytes",
    "read_class_names",
    "read_list",
    "read_names",
    "require",
    "require_images",
]

_LONGEST_NAME = 255  # bytes that file systems allow


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


def read_list(path: epath.Path, classes: int, header: str = "") -> tuple[list[str], np.ndarray]:
    """Reads a list of images that has a line `name label` for each.

    Args:
        path: the list.
        classes: number of classes.
        header: how the first line begins if it is a header; "" for lists without one.

    Returns:
        The n names, each different, and their labels, `[n]`, int64.

    Raises:
        InputError: the list can't be read, or a line has another format, a label that is not a
            class, or a name that `read_names` refuses.
    """
    labels = {}
    for number, line in _lines(path, header):
        name, label = [*line.rsplit(maxsplit=1), ""][:2]
        is_number = label.isascii() and label.isdigit() and len(label) < 10
        if not is_number or int(label) >= classes:
            raise InputError(
                f"{path} has {excerpt(line)!r} in line {number}: a file name and a label from 0 to "
                f"{classes - 1} are expected, so download the list again."
            )
        _check_name(path, number, name, labels)
        labels[name] = int(label)
    return list(labels), np.array(list(labels.values()), np.int64)


def read_names(path: epath.Path, header: str = "") -> list[str]:
    """Reads a list that has the name of an image in each line.

    Args: as `read_list`.

    Returns:
        The names, each different and a path in a folder.

    Raises:
        InputError: the list can't be read, or a name leads out of the folder of the images, is too
            long for a file, or is already listed.
    """
    names: dict[str, None] = {}
    for number, name in _lines(path, header):
        _check_name(path, number, name, names)
        names[name] = None
    return list(names)


def read_class_names(path: epath.Path, classes: int, page: str, header: str = "") -> list[str]:
    """Reads a file that has a line for each class.

    Args:
        path: the file.
        classes: number of classes.
        page: where to download the file, for the error message.
        header: as in `read_list`.

    Raises:
        InputError: the file can't be read, or has more or fewer lines.
    """
    names = [line for _, line in _lines(path, header)]
    if len(names) != classes:
        raise InputError(
            f"{path} has {len(names)} lines instead of one for each of {classes} classes: download "
            f"it again from {page}."
        )
    return names


def _lines(path: epath.Path, header: str) -> Iterator[tuple[int, str]]:
    """The lines that are neither empty nor the header, without blanks around them, and numbers."""
    try:
        text = files.contents(path).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} can't be read ({files.reason(error)}): download it again."
        ) from error
    for number, line in enumerate(text.splitlines(), start=1):
        is_header = header and number == 1 and line.startswith(header)
        if line.strip() and not is_header:
            yield number, line.strip()


def _check_name(path: epath.Path, number: int, name: str, listed: Collection[str]) -> None:
    leads_out = name.startswith("/") or ".." in name.split("/") or "\0" in name
    if leads_out or len(name.encode()) > _LONGEST_NAME:
        raise InputError(
            f"{path} lists {excerpt(name)!r} in line {number}, which is not the path of a file in "
            "the folder of the images: download the list again."
        )
    if name in listed:
        raise InputError(f"{path} lists {name} again in line {number}: download the list again.")


def require_images(dataset: str, folder: epath.Path, names: Collection[str], page: str) -> None:
    """Checks that a folder has all images of a list.

    Args:
        dataset: name of the data set, for the error message.
        folder: the folder that must have them.
        names: their paths in the folder.
        page: where to download them, for the error message.

    Raises:
        InputError: some are missing; the message has their number and the first.
    """
    missing = missing_files(folder, names)
    if missing:
        first = next(name for name in names if name in missing)
        raise InputError(
            f"dataset={dataset} lacks {len(missing)} of {len(names)} images in {folder}, the first "
            f"is {first}: download the rest by hand from {page}."
        )


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
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise InputError(f"{folder / name} can't be read: {files.reason(error)}.") from error

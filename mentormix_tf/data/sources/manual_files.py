"""Files that a user downloads by hand: where they lie, whether they are there, lists of them."""

import numpy as np
from etils import epath

from mentormix_tf.errors import InputError


def manual_dir(data_dir):
    """The folder where TFDS looks for files that were downloaded by hand."""
    return epath.Path(data_dir).expanduser() / "downloads" / "manual"


def require(dataset, folder, names, page):
    """Checks that files or folders are there, and whole where their sizes are known.

    Args:
        dataset: name of the data set, for the message.
        folder: `epath.Path` of the folder they should lie in.
        names: their paths in it; or a dict from path to size in bytes, None for any size.
        page: where they come from, and what to do with them.

    Raises:
        InputError: some are missing, of which it names up to three; or one has another size.
    """
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise InputError(
            f"dataset={dataset} needs {', '.join(missing[:3])}{more} in {folder}: get what is "
            f"missing by hand from {page}."
        )
    for name, size in names.items() if isinstance(names, dict) else ():
        found = (folder / name).stat().length
        if size is not None and found != size:
            raise InputError(
                f"dataset={dataset}: {folder / name} has {found} bytes instead of {size}: get it "
                f"again from {page}."
            )


def read_list(path, classes):
    """Reads a list of images, each line `name label`.

    Args:
        path: `epath.Path` of the list.
        classes: number of classes.

    Returns:
        Names, a list of n strings, each once; and labels, `[n]` int64.

    Raises:
        InputError: a line is something else, its label is no class, or its name came before.
    """
    labels = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        name, label = [*line.rsplit(maxsplit=1), ""][:2]
        if not (label.isascii() and label.isdigit()) or int(label) >= classes:
            raise InputError(
                f"{path} has {line.strip()!r} in line {number}: a file name and a label from 0 to "
                f"{classes - 1} are expected, so get the list again."
            )
        if name in labels:
            raise InputError(f"{path} lists {name} again in line {number}: get the list again.")
        labels[name] = int(label)
    return list(labels), np.array(list(labels.values()), np.int64)


def missing_files(folder, names):
    """Says which files are not in a folder, with one look into each of its folders.

    Args:
        folder: `epath.Path`.
        names: paths in it.

    Returns:
        The set of names that are missing.
    """
    missing = set(names)
    for parent in {name.rpartition("/")[0] for name in names}:
        if (folder / parent).is_dir():
            prefix = f"{parent}/" if parent else ""
            missing.difference_update(prefix + file.name for file in (folder / parent).iterdir())
    return missing


def read_bytes(folder, names):
    """Reads files one by one.

    Args:
        folder: `epath.Path`.
        names: paths in it.

    Returns:
        A function without arguments that gives an iterator over their bytes.
    """
    return lambda: ((folder / name).read_bytes() for name in names)

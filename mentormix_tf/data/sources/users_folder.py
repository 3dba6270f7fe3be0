"""The user's own images in a folder for each class: `folder:PATH`."""

import collections
import os
import pathlib
from collections.abc import Sequence

from mentormix_tf import files
from mentormix_tf.data.sources import users_own
from mentormix_tf.data.sources.base import Source
from mentormix_tf.data.sources.users_own import Item, Listing
from mentormix_tf.errors import InputError

__all__ = ["SUFFIXES", "listing", "load"]

SUFFIXES = {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


def load(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads images from `PATH/CLASS/`, or from `PATH/train/CLASS/` and `PATH/test/CLASS/`.

    Args: see `Entry.load`; argument is PATH.

    Raises:
        InputError: see `listing` and `users_own.load`.
    """
    return users_own.load(listing(argument))


def listing(argument: str) -> Listing:
    """Finds the images in a folder for each class, or for each split and class.

    Images lie at any depth below their class. Links are followed; hidden files and folders are not
    read, see `files.is_hidden`.

    Args:
        argument: the folder.

    Raises:
        InputError: a folder is missing, a class has no images, a split has a class that the
            training split does not have, or splits and classes lie side by side.
    """
    root = pathlib.Path(files.expanded(argument, "folder"))
    if not os.path.isdir(root):  # unlike Path.is_dir, for names of any length
        raise InputError(f"dataset=folder:{argument} is not a folder: name one with your images.")
    folders = _splits(root)
    names = sorted(path.name for path in _folders(folders["train"]))
    if not names:
        raise InputError(f"{folders['train']} has no folders: it needs one for each class.")
    for folder in folders.values():
        foreign = {path.name for path in _folders(folder)} - set(names)
        if foreign:
            raise InputError(
                f"{folder} has the class {min(foreign)}, which {folders['train']} does not have: "
                "add training images or remove the class."
            )
    items, left_out = {}, collections.Counter()
    for split, folder in folders.items():
        items[split] = []
        for label, name in enumerate(names):
            if split == "train" or (folder / name).is_dir():
                found, others = _images(folder / name)
                items[split] += [Item(path, label) for path in found]
                left_out.update(others)
    texts = [f"{count:,} {kind}" for kind, count in sorted(left_out.items())]
    return Listing(root, names, items, texts)


def _splits(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """The folder of each split; the root alone, as train, if it has a folder for each class."""
    splits, others = {}, []
    for path in _folders(root):
        split = users_own.split_of(path.name)
        if split is None:
            others.append(path.name)
        elif split in splits:
            raise InputError(
                f"{root} has {splits[split].name} and {path.name}, which are both a {split} split: "
                "merge them or rename one."
            )
        else:
            splits[split] = path
    has_classes = "train" in splits and any(_folders(splits["train"]))
    if not splits or (others and not has_classes):
        return {"train": root}
    if others:
        raise InputError(
            f"{root} has the splits {', '.join(path.name for path in splits.values())} and beside "
            f"them {', '.join(others[:3])}: move what is no split away."
        )
    if "train" not in splits:
        raise InputError(
            f"{root} has {', '.join(path.name for path in splits.values())} but no train: add a "
            "folder train with a folder for each class."
        )
    return splits


def _folders(folder: pathlib.Path) -> list[pathlib.Path]:
    entries = sorted(folder.iterdir())
    return [path for path in entries if path.is_dir() and not files.is_hidden(path.name)]


def _images(folder: pathlib.Path) -> tuple[list[pathlib.Path], Sequence[str]]:
    """The images below a folder, in order, and the kinds of what is not an image."""
    found, others, visited = [], [], set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        identity = os.stat(parent).st_dev, os.stat(parent).st_ino
        is_loop, folders[:] = identity in visited, [f for f in folders if not files.is_hidden(f)]
        visited.add(identity)
        if is_loop:
            folders.clear()
            continue
        for name in names:
            path, suffix = pathlib.Path(parent, name), pathlib.Path(name).suffix.lower()
            if files.is_hidden(name):
                continue
            if suffix not in SUFFIXES:
                others.append(f"{suffix} files" if suffix else "files without a suffix")
            elif not path.is_file():
                others.append("links to nothing, pipes or devices")
            else:
                found.append(path)
    if not found:
        raise InputError(
            f"{folder} has no images ({', '.join(sorted(SUFFIXES))}): add some, or remove it."
        )
    return sorted(found), others

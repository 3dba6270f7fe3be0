"""The user's own images: `folder:PATH`, a folder per class, or `csv:PATH`, a row per image."""

import csv
import hashlib
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn import model_selection

from mentormix_tf import files
from mentormix_tf.data.sources.base import UNKNOWN, Source, SourceSplit
from mentormix_tf.errors import InputError

__all__ = [
    "SUFFIXES",
    "TEST_NAMES",
    "TEST_SHARE",
    "TRAIN_NAMES",
    "Item",
    "fingerprint",
    "load_csv",
    "load_folder",
]

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"}
TRAIN_NAMES, TEST_NAMES = ("train",), ("test", "val", "validation")
TEST_SHARE = 0.2
Item = tuple[pathlib.Path, int]  # an image and its label


def load_folder(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads images from `PATH/CLASS/`, or from `PATH/train/CLASS/` and `PATH/val/CLASS/`.

    Without a val (or test) folder, a fifth of the images of each class, drawn with a fixed seed, is
    kept for testing. Test labels are assumed to be right, although they may not be.

    Args: see `Entry.load`; argument is PATH.

    Raises:
        InputError: a folder is missing, a class has too few images, or a class of the test images
            has no training images.
    """
    root = pathlib.Path(files.expanded(argument, "dataset=folder"))
    if not root.is_dir():
        raise InputError(f"dataset=folder:{argument} is not a folder: name one with your images.")
    train_root = next((root / n for n in TRAIN_NAMES if (root / n).is_dir()), root)
    test_root = next((root / n for n in TEST_NAMES if (root / n).is_dir()), None)
    if train_root == root:
        test_root = None  # a class may be called "test"
    names = sorted(path.name for path in train_root.iterdir() if path.is_dir())
    if not names:
        raise InputError(f"{train_root} has no folders: it needs one for each class.")
    train = [(path, names.index(name)) for name in names for path in _images(train_root / name)]
    if test_root is None:
        return _source(root, names, *_cut(train, root))
    foreign = {path.name for path in test_root.iterdir() if path.is_dir()} - set(names)
    if foreign:
        raise InputError(
            f"{test_root} has the class {min(foreign)}, which {train_root} does not have: add "
            "training images or remove the class."
        )
    test = [
        (path, names.index(name))
        for name in names
        if (test_root / name).is_dir()
        for path in _images(test_root / name)
    ]
    return _source(root, names, train, test)


def load_csv(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads the images in a CSV file with the columns path, label, [true_label] and [split].

    Paths are relative to the file's folder. Labels are names or numbers. Rows whose split is test
    or val are for testing; without such rows, a fifth of the images of each class is.

    Args: see `Entry.load`; argument is the path of the CSV file.

    Raises:
        InputError: the file can't be read, lacks a column, or has a row without a label or without
            an existing image; or a class has too few images.
    """
    path = pathlib.Path(files.expanded(argument, "dataset=csv"))
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), reader.fieldnames or []
    except OSError as error:
        raise InputError(f"dataset=csv:{argument} can't be read: {error.strerror}.") from error
    for column in ("path", "label"):
        if column not in columns:
            raise InputError(
                f"dataset=csv:{argument} has no column {column}: it has {', '.join(columns)}."
            )
    if not rows:
        raise InputError(f"dataset=csv:{argument} has no rows: add one for each image.")
    for number, row in enumerate(rows, start=2):
        if not row["path"] or not row["label"] or not (path.parent / row["path"]).is_file():
            raise InputError(
                f"dataset=csv:{argument}, line {number}: there is no image {row['path']!r} in "
                f"{path.parent}, or it has no label."
            )
    names = {row["label"] for row in rows} | {row.get("true_label") or "" for row in rows}
    names = sorted(names - {""}, key=_numbers_first)
    items = [(path.parent / row["path"], names.index(row["label"])) for row in rows]
    truth = {
        item[0]: names.index(row["true_label"]) if row.get("true_label") else UNKNOWN
        for item, row in zip(items, rows, strict=True)
    }
    is_test = [row.get("split") in TEST_NAMES for row in rows]
    if any(is_test):
        train = [item for item, test in zip(items, is_test, strict=True) if not test]
        test = [item for item, test in zip(items, is_test, strict=True) if test]
    else:
        train, test = _cut(items, path)
    return _source(path.parent, names, train, test, truth)


def _numbers_first(name: str) -> tuple[bool, int, str]:
    """Sort key of class names: 10 comes after 9, and words after numbers."""
    return (not name.isdigit(), int(name) if name.isdigit() else 0, name)


def _images(folder: pathlib.Path) -> list[pathlib.Path]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(
            f"{folder} has no images ({', '.join(sorted(SUFFIXES))}): add some, or remove it."
        )
    return paths


def _cut(items: Sequence[Item], origin: pathlib.Path) -> tuple[list[Item], list[Item]]:
    labels = [label for _, label in items]
    smallest = min(np.bincount(labels))
    if smallest < 2:
        raise InputError(
            f"{origin} has a class with fewer than 2 images, which can't be split into training "
            "and test images: add images, or make a test split of your own."
        )
    count = max(round(TEST_SHARE * len(items)), len(set(labels)))
    parts: Any = model_selection.train_test_split(
        items, test_size=count, stratify=labels, random_state=0
    )
    train, test = parts
    return train, test


def _source(
    root: pathlib.Path,
    names: Sequence[str],
    train: Sequence[Item],
    test: Sequence[Item],
    truth: Mapping[pathlib.Path, int] | None = None,
) -> Source:
    return Source(
        class_names=names,
        train=_split(root, train, truth or {}, UNKNOWN),
        test=_split(root, test, truth or {}, None),
        image_shape=(None, None, 3),
        check_images=True,
    )


def _split(
    root: pathlib.Path,
    items: Sequence[Item],
    truth: Mapping[pathlib.Path, int],
    otherwise: int | None,
) -> SourceSplit:
    """Makes a split; true labels missing in `truth` are `otherwise`, or the labels if None."""
    paths = [path for path, _ in items]
    labels = np.array([label for _, label in items], np.int64)
    true = [truth.get(path, UNKNOWN) for path in paths]
    if otherwise is None:
        true = [label if t == UNKNOWN else t for label, t in zip(labels, true, strict=True)]
    ids = [os.path.relpath(path, root) for path in paths]
    return SourceSplit(ids, labels, lambda: (path.read_bytes() for path in paths), np.array(true))


def fingerprint(argument: str) -> str:
    """Hashes the names and sizes of a folder's files and, for a CSV file, its contents.

    Args:
        argument: PATH of `folder:PATH` or `csv:PATH`; a CSV file's folder is hashed, too.

    Returns:
        The first 8 hexadecimal digits of the SHA-256.
    """
    root = pathlib.Path(files.expanded(argument, "dataset")).resolve()
    folder = root if root.is_dir() else root.parent
    digest = hashlib.sha256(str(root).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)} {path.stat().st_size}\n".encode())
    if root.is_file():
        digest.update(root.read_bytes())
    return digest.hexdigest()[:8]

"""The user's own images: lists of files with labels, from users_folder.py or users_csv.py."""

import collections
import dataclasses
import hashlib
import logging
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from mentormix_tf.data import annotators, verified_labels
from mentormix_tf.data.sources import cut
from mentormix_tf.data.sources.base import UNKNOWN, Source, SourceSplit
from mentormix_tf.data.sources.images_on_demand import ImagesOnDemand
from mentormix_tf.errors import InputError

__all__ = [
    "HASHED_BYTES",
    "SPLIT_WORDS",
    "Item",
    "Listing",
    "fingerprint",
    "load",
    "merged",
    "split_of",
]

_log = logging.getLogger(__name__)

HASHED_BYTES = 2**30  # files of larger sets are compared by size and time of change
_MOST_BYTES = 2**30
SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}


@dataclasses.dataclass(frozen=True)
class Item:
    """An image file with a label.

    Attributes:
        path: the file.
        label: its class.
        true_label: its true class; -1 if unknown.
        votes: the classes that several people gave to it; empty if there is one label.
        verified: 1 if a person has checked the label and it is right, 0 if it is wrong, otherwise
            -1.
    """

    path: pathlib.Path
    label: int
    true_label: int = UNKNOWN
    votes: tuple[int, ...] = ()
    verified: int = verified_labels.UNVERIFIED


@dataclasses.dataclass(frozen=True)
class Listing:
    """The images of a data set, before any is read.

    Attributes:
        root: the folder that ids are relative to.
        class_names: the name of each class.
        items: items by split: train, validation and test; those without a split are in train if
            there is no other.
        left_out: what was found but not listed: a text, such as "3 .txt files", for each kind.
    """

    root: pathlib.Path
    class_names: Sequence[str]
    items: dict[str, list[Item]]
    left_out: Sequence[str] = ()


def split_of(word: str) -> str | None:
    """Returns train, validation or test for a usual name of one, in any case; None for others."""
    word = word.strip().casefold()
    return next((name for name, words in SPLIT_WORDS.items() if word in words), None)


def load(listing: Listing) -> Source:
    """Makes a `Source` of a listing, and logs what it has and what was left out.

    Test images are those of the test split, or else of the validation split, or else a fifth of the
    images of each class, drawn with a fixed seed. Labels of test images are assumed to be right
    where no true label is given, although they may not be; those that a person has found wrong are
    left out.

    Args:
        listing: the images.

    Raises:
        InputError: there is nothing to train on, an image is in two splits, or a file's name is not
            valid UTF-8.
    """
    train, test, left_out = _train_and_test(listing)
    if not train:
        raise InputError(f"{listing.root} has no images to train on: add some.")
    _check_apart(listing.root, train, test)
    _log.info("%s", _summary(listing, train + test))
    if left_out:
        _log.warning("Left out in %s: %s.", listing.root, ", ".join(left_out))
    ids = _ids(listing.root, train + test)
    return Source(
        class_names=listing.class_names,
        train=_split(train, ids[: len(train)], [item.true_label for item in train]),
        test=_split(test, ids[len(train) :], [_truth(item) for item in test]) if test else None,
        image_shape=(None, None, 3),
        check_images=True,
    )


def merged(listing: Listing) -> Listing:
    """Makes one item of all items of a file, which are the labels of several people.

    Args:
        listing: the images, without votes.

    Returns:
        The images once each, with votes. An item's label is the one that most people gave, and of
        several such labels the first class.

    Raises:
        InputError: items of one file have different true labels.
    """
    items = {
        split: [_merged(listing, group) for group in _groups(found)]
        for split, found in listing.items.items()
    }
    return dataclasses.replace(listing, items=items)


def _merged(listing: Listing, group: Sequence[Item]) -> Item:
    votes = tuple(item.label for item in group)
    known = sorted({item.true_label for item in group} - {UNKNOWN})
    if len(known) > 1:
        names = " and ".join(listing.class_names[label] for label in known)
        raise InputError(f"{group[0].path} has the true labels {names}: leave one.")
    truth = known[0] if known else UNKNOWN
    return Item(group[0].path, annotators.most_frequent(votes)[0], truth, votes)


def fingerprint(listing: Listing) -> str:
    """Hashes what a split is made of: names, labels and contents of the images in a listing.

    Contents are hashed if all files together have at most `HASHED_BYTES`; otherwise their sizes and
    times of change stand for them.

    Args:
        listing: the images.

    Returns:
        The first 8 hexadecimal digits of the SHA-256.
    """
    paths = sorted({item.path for items in listing.items.values() for item in items})
    try:
        states = [path.stat() for path in paths]
        reads_contents = sum(state.st_size for state in states) <= HASHED_BYTES
        versions = [
            hashlib.sha256(path.read_bytes()).hexdigest()
            if reads_contents
            else f"{state.st_size} {state.st_mtime_ns}"
            for path, state in zip(paths, states, strict=True)
        ]
    except OSError as error:
        raise InputError(f"{error.filename} can't be read: {error.strerror}.") from error
    version = dict(zip(paths, versions, strict=True))
    digest = hashlib.sha256(repr(list(listing.class_names)).encode())
    for name, items in listing.items.items():
        for item in items:
            path = os.path.relpath(item.path, listing.root)
            row = name, path, item.label, item.true_label, version[item.path]
            if item.verified != verified_labels.UNVERIFIED:
                row = (*row, item.verified)
            digest.update(f"{row}\n".encode())
    return digest.hexdigest()[:8]


def _train_and_test(listing: Listing) -> tuple[list[Item], list[Item], list[str]]:
    """The items to train and to test on, and what was left out."""
    train, validation, test = (list(listing.items.get(name, ())) for name in SPLIT_WORDS)
    left_out = list(listing.left_out)
    if test and validation:
        left_out.append(
            f"{len(validation):,} images of the validation split, as there is a test split "
            "(--validation_fraction holds out images of the training split)"
        )
    test = test or validation
    if train and not test:
        groups = _groups(train)
        labels = np.array([_class_of(group) for group in groups])
        held_out = cut.held_out(labels, len(listing.class_names))
        parts = [[], []]
        for group, is_held_out in zip(groups, held_out, strict=True):
            parts[int(is_held_out)] += group
        train, test = parts
    known = [item for item in test if item.verified != verified_labels.WRONG or _is_known(item)]
    if len(known) < len(test):
        left_out.append(
            f"{len(test) - len(known):,} images to test on whose label is wrong (verified=0) and "
            "whose true label is not given"
        )
    return train, known, left_out


def _groups(items: Sequence[Item]) -> list[list[Item]]:
    """Items of the same file, such as labels of several people, together."""
    groups = collections.defaultdict(list)
    for item in items:
        groups[item.path].append(item)
    return list(groups.values())


def _class_of(group: Sequence[Item]) -> int:
    """The class that a file counts for in the cut."""
    votes = collections.Counter(_truth(item) for item in group)
    return votes.most_common(1)[0][0]


def _truth(item: Item) -> int:
    return item.true_label if _is_known(item) else item.label


def _is_known(item: Item) -> bool:
    return item.true_label != UNKNOWN


def _check_apart(root: pathlib.Path, train: Sequence[Item], test: Sequence[Item]) -> None:
    both = {item.path for item in train} & {item.path for item in test}
    if both:
        raise InputError(
            f"{root} has {min(both)} both for training and for testing: choose one of the two."
        )


def _summary(listing: Listing, items: Sequence[Item]) -> str:
    """Such as "Found 7 images of 2 classes in photos: cat (3), dog (4)"."""
    counts = np.bincount([item.label for item in items], minlength=len(listing.class_names))
    pairs = list(zip(listing.class_names, counts, strict=True))
    shown = ", ".join(f"{name} ({count:,})" for name, count in pairs[:20])
    more = ", ..." if len(pairs) > 20 else ""
    images = f"{len(items):,} images of {len(pairs):,} classes"
    return f"Found {images} in {listing.root}: {shown}{more}."


def _ids(root: pathlib.Path, items: Sequence[Item]) -> list[str]:
    """Paths relative to the root; the second item of the same file has #2 added, and so on."""
    ids, seen = [], collections.Counter()
    for item in items:
        path = os.path.relpath(item.path, root)
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"{path!a} has a name that is not UTF-8: rename the file.") from error
        seen[path] += 1
        ids.append(path if seen[path] == 1 else f"{path}#{seen[path]}")
    return ids


def _split(items: Sequence[Item], ids: Sequence[str], true_labels: Sequence[int]) -> SourceSplit:
    images = ImagesOnDemand([item.path for item in items], _read)
    labels = np.array([item.label for item in items], np.int64)
    truth = np.array(true_labels, np.int64)
    votes = [item.votes for item in items] if items[0].votes else None
    verified = np.array([item.verified for item in items], np.int64)
    has_any = (verified != verified_labels.UNVERIFIED).any()
    return SourceSplit(
        ids, labels, images, truth, votes=votes, verified=verified if has_any else None
    )


def _read(path: pathlib.Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path} has more than {_MOST_BYTES:,} bytes, as no image has.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}.") from error

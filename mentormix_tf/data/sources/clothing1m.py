"""Clothing1M (Xiao et al., "Learning from Massive Noisy Labeled Data for Image Classification",
CVPR 2015): clothes in online shops, labeled by the words around them.

It must be downloaded by hand and unpacked into `downloads/manual/clothing1M/` of the data_dir:

    images/                   the images, in the folders 0 to 9
    category_names_eng.txt    the 14 classes, one in a line
    noisy_label_kv.txt, clean_label_kv.txt    a line `path label` for each image, labels from 0
    noisy_train_key_list.txt, clean_train_key_list.txt, clean_test_key_list.txt    a path in a line

Paths begin with `images/`. clean_val_key_list.txt is not read: --validation_fraction holds out
training images, whose labels are noisy.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from etils import epath

from mentormix_tf.data.sources.base import UNKNOWN, Source, SourceSplit
from mentormix_tf.data.sources.manual_files import (
    manual_dir,
    read_bytes,
    read_class_names,
    read_list,
    read_names,
    require,
    require_images,
)
from mentormix_tf.errors import InputError

__all__ = ["CLASSES", "PAGE", "load", "load_verified"]

PAGE = (
    "the address that the authors send on request (https://github.com/Cysu/noisy_label), and "
    "unpack it there"
)
CLASSES = 14
_NOISY, _CLEAN = "noisy_label_kv.txt", "clean_label_kv.txt"
_NOISY_TRAIN, _CLEAN_TRAIN = "noisy_train_key_list.txt", "clean_train_key_list.txt"
_TEST, _NAMES = "clean_test_key_list.txt", "category_names_eng.txt"


def load(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads the million noisy training images of 14 classes, and 10,526 test images.

    The true label is unknown unless the image has a clean label, too.

    Args: see `Entry.load`.

    Raises:
        InputError: a file is missing, or a list is damaged.
    """
    return _load("clothing1m", data_dir, with_verified=False)


def load_verified(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads the same, and the images of the clean training list that have a noisy label, too.

    These have their noisy label, and their clean one as true label. This is a person's, so it says
    which noisy labels are verified, as in CleanNet (Lee et al., CVPR 2018).

    Args: see `Entry.load`.

    Raises:
        InputError: as `load`.
    """
    return _load("clothing1m_verified", data_dir, with_verified=True)


def _load(dataset: str, data_dir: str, with_verified: bool) -> Source:
    folder = manual_dir(data_dir) / "clothing1M"
    lists = [_NOISY_TRAIN, _TEST, *([_CLEAN_TRAIN] if with_verified else [])]
    require(dataset, folder, [_NAMES, _NOISY, _CLEAN, *lists], PAGE)
    noisy = dict(zip(*read_list(folder / _NOISY, CLASSES), strict=True))
    clean = dict(zip(*read_list(folder / _CLEAN, CLASSES), strict=True))
    ids = read_names(folder / _NOISY_TRAIN)
    labels = _labels(folder, ids, _NOISY_TRAIN, noisy, _NOISY)
    if with_verified:
        listed = set(ids)
        both = [i for i in read_names(folder / _CLEAN_TRAIN) if i in noisy and i not in listed]
        ids, labels = ids + both, np.append(labels, [noisy[i] for i in both])
    test_ids = read_names(folder / _TEST)
    test_labels = _labels(folder, test_ids, _TEST, clean, _CLEAN)
    shared = set(ids) & set(test_ids)
    if shared:
        raise InputError(
            f"{folder / _TEST} lists {min(shared)}, which is a training image: download the lists "
            f"again from {PAGE}."
        )
    require_images(dataset, folder, ids, PAGE)
    require_images(dataset, folder, test_ids, PAGE)
    true = np.array([clean.get(i, UNKNOWN) for i in ids], np.int64)
    verified = np.where(true == UNKNOWN, UNKNOWN, labels == true)
    return Source(
        class_names=read_class_names(folder / _NAMES, CLASSES, PAGE),
        train=SourceSplit(
            ids,
            labels,
            read_bytes(folder, ids),
            true,
            verified=verified if (true != UNKNOWN).any() else None,
        ),
        test=SourceSplit(test_ids, test_labels, read_bytes(folder, test_ids)),
        image_shape=(None, None, 3),
        check_images=True,
    )


def _labels(
    folder: epath.Path, ids: Sequence[str], listed_in: str, known: Mapping[str, int], file: str
) -> np.ndarray:
    """The labels of the images in a list, which another file has."""
    lacking = [i for i in ids if i not in known]
    if lacking:
        raise InputError(
            f"{folder / file} has no label for {len(lacking)} of {len(ids)} images in {listed_in}, "
            f"the first is {lacking[0]}: download both again from {PAGE}."
        )
    return np.array([known[i] for i in ids], np.int64)

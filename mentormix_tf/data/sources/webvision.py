"""WebVision 1.0 (Li et al., arXiv:1708.02862), downloaded by hand: images that 1,631 queries for
the 1000 classes of ILSVRC found on Google and Flickr.

Lies in `downloads/manual/webvision/` of the data_dir as its archives unpack:

    info/                     synsets.txt, train_filelist_google.txt, train_filelist_flickr.txt,
                              val_filelist.txt; a line of a list is `path label`, labels from 0
    google/, flickr/          the training images, at the paths that the lists give
    val_images_256/           the validation images; or val_images/

The resized (256 pixels) and the original archives are both fine: whichever is found is read.
"""

import numpy as np

from mentormix_tf.data.sources.base import UNKNOWN, Source, SourceSplit
from mentormix_tf.data.sources.manual_files import (
    manual_dir,
    missing_files,
    read_bytes,
    read_list,
    require,
)
from mentormix_tf.errors import InputError

PAGE = "https://data.vision.ee.ethz.ch/cvl/webvision/download.html and unpack it there"
CLASSES = 1000


def load_full(noise, noise_level, data_dir, argument):
    """2.4 million training images of 1000 classes; 50,000 validation images are the test split.

    The labels are those of the queries, and nobody knows which are right.

    Raises:
        InputError: a file is missing, or a list can't be understood.
    """
    return _load("webvision", data_dir, ["google", "flickr"], CLASSES)


def load_mini(noise, noise_level, data_dir, argument):
    """Mini-WebVision (Jiang et al., ICML 2018): the first 50 classes of the Google images.

    Raises:
        InputError: as `load_full`.
    """
    return _load("mini_webvision", data_dir, ["google"], 50)


def _load(dataset, data_dir, websites, classes):
    folder = manual_dir(data_dir) / "webvision"
    lists = [f"info/train_filelist_{website}.txt" for website in websites]
    require(dataset, folder, ["info/synsets.txt", *lists, "info/val_filelist.txt"], PAGE)
    synsets = (folder / "info/synsets.txt").read_text().splitlines()
    if len(synsets) != CLASSES:
        raise InputError(
            f"{folder / 'info/synsets.txt'} has {len(synsets)} lines, one for each of {CLASSES} "
            f"classes are expected: get it again from {PAGE}."
        )
    val = next((v for v in ("val_images_256", "val_images") if (folder / v).is_dir()), None)
    require(dataset, folder, [val or "val_images_256"], PAGE)
    ids, labels = [], []
    for name in lists:
        more_ids, more_labels = _read(folder / name, classes)
        ids += more_ids
        labels.append(more_labels)
    labels = np.concatenate(labels)
    test_ids, test_labels = _read(folder / "info/val_filelist.txt", classes)
    _require_images(dataset, folder, ids)
    _require_images(dataset, folder / val, test_ids)
    return Source(
        # Named as ImageNet's classes are in TFDS, since a network is measured on both (Table 4).
        class_names=[line.partition(" ")[0] for line in synsets[:classes]],
        train=SourceSplit(ids, labels, read_bytes(folder, ids), np.full_like(labels, UNKNOWN)),
        test=SourceSplit(test_ids, test_labels, read_bytes(folder / val, test_ids)),
        image_shape=(None, None, 3),
    )


def _read(path, classes):
    names, labels = read_list(path, CLASSES)
    kept = labels < classes
    return [name for name, keep in zip(names, kept, strict=True) if keep], labels[kept]


def _require_images(dataset, folder, names):
    missing = missing_files(folder, names)
    if missing:
        first = next(name for name in names if name in missing)
        raise InputError(
            f"dataset={dataset} lacks {len(missing)} of {len(names)} images in {folder}, the first "
            f"is {first}: get the rest by hand from {PAGE}."
        )

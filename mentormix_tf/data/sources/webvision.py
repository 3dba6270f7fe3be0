"""WebVision 1.0 (Li et al., arXiv:1708.02862): images that 1,631 queries for the 1000 classes of
ILSVRC found on Google and Flickr.

It must be downloaded by hand and unpacked into `downloads/manual/webvision/` of the data_dir:

    info/                     synsets.txt, train_filelist_google.txt, train_filelist_flickr.txt,
                              val_filelist.txt; a line of a list is `path label`, labels from 0
    google/, flickr/          the training images, at the paths in the lists
    val_images_256/           the validation images; or val_images/

Either the resized (256 pixels) or the original archives can be used.
"""

from collections.abc import Sequence

import numpy as np
from etils import epath

from mentormix_tf.data.sources.base import UNKNOWN, Source, SourceSplit
from mentormix_tf.data.sources.manual_files import (
    manual_dir,
    read_bytes,
    read_class_names,
    read_list,
    require,
    require_images,
)

__all__ = ["CLASSES", "PAGE", "load_full", "load_mini"]

PAGE = "https://data.vision.ee.ethz.ch/cvl/webvision/download.html and unpack it there"
CLASSES = 1000


def load_full(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads 2.4 million training images of 1000 classes; 50,000 validation images are for testing.

    The labels are those of the queries, and it is unknown which are right.

    Args: see `Entry.load`.

    Raises:
        InputError: a file is missing, or a list has another format.
    """
    return _load("webvision", data_dir, ["google", "flickr"], CLASSES)


def load_mini(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads mini-WebVision (Jiang et al., ICML 2018): the first 50 classes of the Google images.

    Args: see `Entry.load`.

    Raises:
        InputError: as `load_full`.
    """
    return _load("mini_webvision", data_dir, ["google"], 50)


def _load(dataset: str, data_dir: str, websites: Sequence[str], classes: int) -> Source:
    folder = manual_dir(data_dir) / "webvision"
    lists = [f"info/train_filelist_{website}.txt" for website in websites]
    require(dataset, folder, ["info/synsets.txt", *lists, "info/val_filelist.txt"], PAGE)
    synsets = read_class_names(folder / "info/synsets.txt", CLASSES, PAGE)
    names = ("val_images_256", "val_images")
    val = next((name for name in names if (folder / name).is_dir()), names[0])
    require(dataset, folder, [val], PAGE)
    ids, labels = [], []
    for name in lists:
        more_ids, more_labels = _read(folder / name, classes)
        ids += more_ids
        labels.append(more_labels)
    labels = np.concatenate(labels)
    test_ids, test_labels = _read(folder / "info/val_filelist.txt", classes)
    require_images(dataset, folder, ids, PAGE)
    require_images(dataset, folder / val, test_ids, PAGE)
    return Source(
        # The names of ImageNet's classes in TFDS, since a network is tested on both (Table 4).
        class_names=[line.partition(" ")[0] for line in synsets[:classes]],
        train=SourceSplit(ids, labels, read_bytes(folder, ids), np.full_like(labels, UNKNOWN)),
        test=SourceSplit(test_ids, test_labels, read_bytes(folder / val, test_ids)),
        image_shape=(None, None, 3),
    )


def _read(path: epath.Path, classes: int) -> tuple[list[str], np.ndarray]:
    names, labels = read_list(path, CLASSES)
    kept = labels < classes
    return [name for name, keep in zip(names, kept, strict=True) if keep], labels[kept]

"""Food-101N (Lee et al., "CleanNet", CVPR 2018): dishes found on the web, some of whose labels a
person has checked; the test images are those of Food-101 (Bossard et al., ECCV 2014).

Both must be downloaded by hand and unpacked into `downloads/manual/` of the data_dir:

    Food-101N_release/meta/    classes.txt, imagelist.tsv (a line `class/file` for each image),
                               verified_train.tsv and verified_val.tsv (with 1 or 0 after a tab:
                               whether the class is right)
    Food-101N_release/images/  the training images, at the paths in the list
    food-101/meta/test.txt     a line `class/number` for each test image
    food-101/images/           the test images, with .jpg after the names in the list

The lists of Food-101N begin with a header, such as class_name/key.
"""

import logging
from collections.abc import Sequence

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

__all__ = ["CLASSES", "PAGE", "TEST_PAGE", "load"]

_log = logging.getLogger(__name__)

PAGE = "https://kuanghuei.github.io/Food-101N/ and unpack it there"
TEST_PAGE = "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz and unpack it there"
CLASSES = 101
_HEADER = "class_name"  # how the first line of each list begins


def load(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads 310,009 training images of 101 classes, and the 25,250 test images of Food-101.

    `verified` is what verified_train.tsv says. The labels that verified_val.tsv speaks of are not
    verified, so that no method sees them, but `is_clean` has both, to measure methods by.

    Args: see `Entry.load`.

    Raises:
        InputError: a file is missing, or a list is damaged.
    """
    manual = manual_dir(data_dir)
    folder, test_folder = manual / "Food-101N_release", manual / "food-101"
    lists = ["classes.txt", "imagelist.tsv", "verified_train.tsv", "verified_val.tsv"]
    require("food101n", folder, [f"meta/{name}" for name in lists], PAGE)
    require("food101n", test_folder, ["meta/test.txt"], TEST_PAGE)
    meta = folder / "meta"
    names = read_class_names(meta / "classes.txt", CLASSES, PAGE, _HEADER)
    ids = read_names(meta / "imagelist.tsv", _HEADER)
    labels = _labels(meta / "imagelist.tsv", ids, names)
    test_ids = read_names(test_folder / "meta" / "test.txt")
    test_labels = _labels(test_folder / "meta" / "test.txt", test_ids, names)
    images, test_images = folder / "images", test_folder / "images"
    files, test_files = ids, [f"{i}.jpg" for i in test_ids]
    require_images("food101n", images, files, PAGE)
    require_images("food101n", test_images, test_files, TEST_PAGE)
    verified = _checked(meta / "verified_train.tsv", ids)
    is_clean = np.maximum(verified, _checked(meta / "verified_val.tsv", ids))
    true = np.where(is_clean == 1, labels, UNKNOWN)
    return Source(
        class_names=names,
        train=SourceSplit(
            ids, labels, read_bytes(images, files), true, is_clean, verified=verified
        ),
        test=SourceSplit(test_ids, test_labels, read_bytes(test_images, test_files)),
        image_shape=(None, None, 3),
        check_images=True,
    )


def _labels(path: epath.Path, ids: Sequence[str], class_names: Sequence[str]) -> np.ndarray:
    """The classes of images, which are the folders in their names."""
    index = {name: label for label, name in enumerate(class_names)}
    for identifier in ids:
        if identifier.partition("/")[0] not in index:
            raise InputError(
                f"{path} lists {identifier}, whose folder is none of the {len(index)} classes: "
                "download the list again."
            )
    return np.array([index[i.partition("/")[0]] for i in ids], np.int64)


def _checked(path: epath.Path, ids: Sequence[str]) -> np.ndarray:
    """`[n]`: 1 for a label that a list says is right, 0 for a wrong one, -1 for others."""
    known = dict(zip(*read_list(path, 2, _HEADER), strict=True))
    foreign = known.keys() - set(ids)
    if foreign:
        _log.warning(
            "Ignored %d of %d lines of %s, whose images imagelist.tsv does not list: %s.",
            *(len(foreign), len(known), path, ", ".join(sorted(foreign)[:3])),
        )
    return np.array([known.get(i, UNKNOWN) for i in ids], np.int64)

"""Red and Blue Stanford Cars (Jiang et al., "Beyond Synthetic Noise", ICML 2020).

TFDS has no builder for them. The files must be downloaded by hand into `downloads/manual/` of the
data_dir:

    dataset_no_images/stanford_cars/split/    the labels: {red,blue}_noise_nl_{level} and
                                              clean_validation, each line `name label`
    dataset_no_images/stanford_cars/class_name.txt    optional; a name in each line
    stanford_cars/cars_train/, cars_test/     Stanford Cars (Krause et al., 2013); all images may
                                              also be in stanford_cars/ or stanford_cars/car_ims/
    noisy_images/                             the web images of Red, with the names in the labels
"""

from collections.abc import Iterable, Sequence

import numpy as np
from etils import epath

from mentormix_tf.data.sources.base import UNKNOWN, Source, SourceSplit
from mentormix_tf.data.sources.manual_files import (
    manual_dir,
    missing_files,
    read_bytes,
    read_list,
    require,
)
from mentormix_tf.data.sources.mini_imagenet import LABELS_PAGE, WEB_IMAGE, released
from mentormix_tf.errors import InputError

__all__ = ["CLASSES", "TEST_FOLDERS", "TRAIN_FOLDERS", "WEB_FOLDERS", "load"]

CLASSES = 196
WEB_FOLDERS = ["noisy_images"]
# Both original folders have a 00001.jpg, so each split must take images only from its own.
TRAIN_FOLDERS = ["stanford_cars/cars_train", "stanford_cars", "stanford_cars/car_ims"]
TEST_FOLDERS = ["stanford_cars/cars_test", "stanford_cars", "stanford_cars/car_ims"]


def load(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads Red, Blue or clean Stanford Cars: 196 classes, 8,144 training and 8,041 test images.

    In Red the web images are the mislabeled ones, and their true classes are unknown; in Blue the
    true class of an image is its label at level 0.

    Args:
        noise: "red" (web noise) or "blue" (symmetric noise); anything else loads the clean labels.
        noise_level: one of `noise.LEVELS`, for red and blue.
        data_dir: the data_dir of TFDS.
        argument: unused.

    Raises:
        InputError: the level was not released, a file is missing, or a label is out of range.
    """
    color, level = released(noise, noise_level)
    manual = manual_dir(data_dir)
    folder = "dataset_no_images/stanford_cars"
    train, clean = f"{folder}/split/{color}_noise_nl_{level}", f"{folder}/split/blue_noise_nl_0.0"
    test = f"{folder}/split/clean_validation"
    needed = list(dict.fromkeys([train, test] if color == "red" else [train, clean, test]))
    require("stanford_cars", manual, needed, LABELS_PAGE)
    ids, labels = read_list(manual / train, CLASSES)
    web = np.array([bool(WEB_IMAGE.fullmatch(name)) for name in ids], bool)
    if color == "red":
        true, is_clean = np.where(web, UNKNOWN, labels), np.where(web, 0, 1)
    else:
        known = dict(zip(*read_list(manual / clean, CLASSES), strict=True))
        true, is_clean = np.array([known.get(name, UNKNOWN) for name in ids], np.int64), None
    images = read_bytes(manual, _locate(manual, train, ids, web, TRAIN_FOLDERS))
    test_ids, test_labels = read_list(manual / test, CLASSES)
    no_web = np.zeros(len(test_ids), bool)
    test_images = read_bytes(manual, _locate(manual, test, test_ids, no_web, TEST_FOLDERS))
    return Source(
        class_names=_class_names(manual / folder / "class_name.txt"),
        train=SourceSplit(ids, labels, images, true, is_clean),
        test=SourceSplit(test_ids, test_labels, test_images),
        image_shape=(None, None, 3),
    )


def _locate(
    manual: epath.Path,
    listed_in: str,
    names: Sequence[str],
    web: Iterable[bool],
    clean_folders: Sequence[str],
) -> list[str]:
    """Returns the paths of the images in the manual folder."""
    paths = {}
    for is_web, folders in [(True, WEB_FOLDERS), (False, clean_folders)]:
        wanted = [name for name, w in zip(names, web, strict=True) if w == is_web]
        for folder in folders:
            missing = missing_files(manual / folder, wanted)
            paths.update({name: f"{folder}/{name}" for name in wanted if name not in missing})
            wanted = [name for name in wanted if name in missing]
    missing = [name for name in names if name not in paths]
    if missing:
        first_is_web = WEB_IMAGE.fullmatch(missing[0])
        folder, page = (
            ("noisy_images", "the addresses in dataset_no_images/stanford-cars-annotations.json")
            if first_is_web
            else (clean_folders[0], "https://ai.stanford.edu/~jkrause/cars/car_dataset.html")
        )
        raise InputError(
            f"dataset=stanford_cars lacks {len(missing)} of the {len(names)} images that "
            f"{listed_in} lists, the first is {manual / folder / missing[0]}: download it by hand "
            f"from {page}."
        )
    return [paths[name] for name in names]


def _class_names(path: epath.Path) -> list[str]:
    names = path.read_text().splitlines() if path.exists() else []
    # In a file of another length it is unknown which name belongs to which class.
    return names if len(names) == CLASSES else [str(label) for label in range(CLASSES)]

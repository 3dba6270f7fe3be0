"""ImageNet ILSVRC 2012 through TFDS, from two archives that must be downloaded by hand.

TFDS orders the classes by WordNet id (n01440764 is 0). WebVision's `info/synsets.txt` is assumed to
have the same order, as its first line does, so that a network trained on WebVision can be tested on
ILSVRC's validation set without renumbering the labels.
"""

from typing import Any

from mentormix_tf.data.sources import from_tfds
from mentormix_tf.data.sources.base import Source
from mentormix_tf.data.sources.manual_files import manual_dir, require
from mentormix_tf.errors import InputError

__all__ = ["IMAGENET_PAGE", "TARS", "load_first_50", "load_full"]

IMAGENET_PAGE = "https://image-net.org/download-images (after registration)"
# The archives and their sizes in bytes.
TARS = {"ILSVRC2012_img_train.tar": 147_897_477_120, "ILSVRC2012_img_val.tar": 6_744_924_160}


def load_full(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads 1,281,167 training images of 1000 classes, and 50,000 validation images for testing.

    Both archives are needed, even if a network is only tested.

    Args: see `Entry.load`.

    Raises:
        InputError: an archive is missing or incomplete, or the data set was prepared without one.
    """
    return _load(data_dir, 1000)


def load_first_50(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads the classes of mini-WebVision: the first 50 of ILSVRC, with 2,500 test images.

    TFDS mixes the classes, so reading the training images passes over those of all 1000 classes.

    Args: see `Entry.load`.

    Raises:
        InputError: as `load_full`.
    """
    return _load(data_dir, 50)


def _load(data_dir: str, classes: int) -> Source:
    if not from_tfds.is_prepared("imagenet2012", data_dir):
        require("imagenet2012", manual_dir(data_dir), TARS, IMAGENET_PAGE)
    builder = from_tfds.prepared("imagenet2012", data_dir)
    for split in ("train", "validation"):
        # TFDS does not fail if an archive is missing.
        if split not in builder.info.splits:
            raise InputError(
                f"dataset=imagenet2012 has no split {split} in {builder.data_dir}: delete that "
                f"folder and prepare it again with {' and '.join(TARS)} in {manual_dir(data_dir)}."
            )
    features: Any = builder.info.features
    train, test = (from_tfds.read(builder, split) for split in ("train", "validation"))
    return Source(
        class_names=features["label"].names[:classes],
        train=train.where(train.labels < classes),
        test=test.where(test.labels < classes),
        image_shape=features["image"].shape,
    )

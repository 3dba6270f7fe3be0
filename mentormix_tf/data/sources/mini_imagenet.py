"""Red and Blue Mini-ImageNet (Jiang et al., "Beyond Synthetic Noise", ICML 2020) through TFDS.

TFDS makes them of files that are downloaded by hand into `downloads/manual/` of the data_dir:
ImageNet's two archives, the labels in `dataset_no_images/`, and for Red the web images in
`noisy_images/`, beside `dataset_no_images/`, named as the labels name them.
"""

import importlib.util
import re

import numpy as np

from mentormix_tf.data.noise import LEVELS
from mentormix_tf.data.sources import from_tfds
from mentormix_tf.data.sources.base import UNKNOWN, Source, SourceSplit
from mentormix_tf.data.sources.imagenet2012 import IMAGENET_PAGE, TARS
from mentormix_tf.data.sources.manual_files import manual_dir, missing_files, read_list, require
from mentormix_tf.errors import InputError

LABELS_PAGE = "https://storage.googleapis.com/cnlw/dataset_no_images.zip and extract it there"
WEB_IMAGE = re.compile(r"[0-9a-f]{16}\.jpg")
_REASONS = (
    "(A mere file name means that mini-imagenet-annotations.json doesn't list that image, an error "
    "of OpenCV that a file is no image: see that each file in noisy_images/ is one.)"
)


def load(noise, noise_level, data_dir, argument):
    """Red, Blue or clean Mini-ImageNet: 100 classes, 5,000 test images, all of 84 x 84 pixels.

    Red has about 50,000 training images; the true classes of its web images are not known. Blue
    has 60,000. `is_clean` is what TFDS says.

    Args:
        noise: "red" (web noise) or "blue" (symmetric noise); anything else gives the clean images
            of Blue.
        noise_level: one of `noise.LEVELS`, for red and blue.
        data_dir: TFDS's data_dir.
        argument: not used.

    Raises:
        InputError: there is no such level, a file is missing, or OpenCV is.
    """
    color, level = released(noise, noise_level)
    builder = _prepared(color, data_dir)
    train = from_tfds.read(builder, _split(level))
    if noise == color:
        clean = _is_clean(builder, _split(level))
        true = np.where(clean == 1, train.labels, UNKNOWN)
        if color == "blue":
            true = np.where(clean == 1, true, _clean_labels(builder, train.ids))
        train = SourceSplit(train.ids, train.labels, train.images, true, clean)
    return Source(
        class_names=builder.info.features["label"].names,
        train=train,
        test=from_tfds.read(builder, "validation"),
        image_shape=(84, 84, 3),
    )


def released(noise, noise_level):
    """Which of the released sets of labels is asked for.

    Args:
        noise: "red" or "blue"; anything else stands for no noise.
        noise_level: one of `noise.LEVELS`, if red or blue.

    Returns:
        "red" or "blue", and one of `noise.LEVELS`.

    Raises:
        InputError: there is no such level.
    """
    if noise not in ("red", "blue"):
        return "blue", 0.0
    for level in LEVELS:
        if abs(level - noise_level) < 1e-6:
            return noise, level
    raise InputError(
        f"noise_level={noise_level} was not released for noise={noise}: choose one of "
        f"{', '.join(f'{level:g}' for level in LEVELS)}."
    )


def _prepared(color, data_dir):
    name = f"controlled_noisy_web_labels/mini_imagenet_{color}"
    if not from_tfds.is_prepared(name, data_dir):
        manual = manual_dir(data_dir)
        require("mini_imagenet", manual, TARS, IMAGENET_PAGE)
        lists = [f"dataset_no_images/mini-imagenet/split/{color}_noise_nl_{p}" for p in LEVELS]
        others = [
            "dataset_no_images/mini-imagenet/split/clean_validation",
            "dataset_no_images/mini-imagenet-annotations.json",
        ]
        require("mini_imagenet", manual, lists + others, LABELS_PAGE)
        if color == "red":
            _require_web_images(manual, lists)
        if not importlib.util.find_spec("cv2"):
            raise InputError(
                "dataset=mini_imagenet needs OpenCV to resize the images: pip install "
                "opencv-python-headless."
            )
    return from_tfds.prepared(name, data_dir, _REASONS)


def _require_web_images(manual, lists):
    # TFDS makes all ten levels at once.
    names = {name for path in lists for name in read_list(manual / path, 100)[0]}
    names = sorted(name for name in names if WEB_IMAGE.fullmatch(name))
    missing = missing_files(manual / "noisy_images", names)
    if missing:
        raise InputError(
            f"dataset=mini_imagenet lacks {len(missing)} of {len(names)} web images in "
            f"{manual / 'noisy_images'}, the first is {min(missing)}: download them by hand from "
            f"the addresses in {manual / 'dataset_no_images/mini-imagenet-annotations.json'}."
        )


def _split(level):
    return f"train_{round(100 * level):02d}"


def _is_clean(builder, split):
    return from_tfds.read(builder, split, label="is_clean").labels


def _clean_labels(builder, ids):
    clean = from_tfds.read(builder, _split(0.0))
    known = _is_clean(builder, _split(0.0)) == 1
    labels = {i: label for i, label, k in zip(clean.ids, clean.labels, known, strict=True) if k}
    return np.array([labels.get(identifier, UNKNOWN) for identifier in ids], np.int64)

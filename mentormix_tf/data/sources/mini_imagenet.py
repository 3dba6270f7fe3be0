"""Red and Blue Mini-ImageNet (Jiang et al., "Beyond Synthetic Noise", ICML 2020) through TFDS.

TFDS makes them from files that must be downloaded by hand into `downloads/manual/` of the data_dir:
ImageNet's two archives, the labels in `dataset_no_images/` and, for Red, the web images in
`noisy_images/` beside it, under the names that the labels use.
"""

import importlib.util
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from mentormix_tf.data.noise import LEVELS
from mentormix_tf.data.sources import from_tfds
from mentormix_tf.data.sources.base import UNKNOWN, Source, SourceSplit
from mentormix_tf.data.sources.imagenet2012 import IMAGENET_PAGE, TARS
from mentormix_tf.data.sources.manual_files import manual_dir, missing_files, read_list, require
from mentormix_tf.errors import InputError

__all__ = ["LABELS_PAGE", "WEB_IMAGE", "load", "released"]

LABELS_PAGE = "https://storage.googleapis.com/cnlw/dataset_no_images.zip and extract it there"
WEB_IMAGE = re.compile(r"[0-9a-f]{16}\.jpg")
_REASONS = (
    "(If the reason is a file name, mini-imagenet-annotations.json doesn't list that image; if it "
    "is an error of OpenCV, a file in noisy_images/ is not an image.)"
)


def load(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads Red, Blue or clean Mini-ImageNet: 100 classes, 5,000 test images, 84 x 84 pixels.

    Red has about 50,000 training images, and the true classes of its web images are unknown. Blue
    has 60,000. `is_clean` comes from TFDS.

    Args:
        noise: "red" (web noise) or "blue" (symmetric noise); anything else loads the clean images
            of Blue.
        noise_level: one of `noise.LEVELS`, for red and blue.
        data_dir: the data_dir of TFDS.
        argument: unused.

    Raises:
        InputError: the level was not released, or a file or OpenCV is missing.
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
    features: Any = builder.info.features
    return Source(
        class_names=features["label"].names,
        train=train,
        test=from_tfds.read(builder, "validation"),
        image_shape=(84, 84, 3),
    )


def released(noise: str, noise_level: float | None) -> tuple[str, float]:
    """Returns the color and the level of the released labels to use.

    Args:
        noise: "red" or "blue"; anything else means no noise, which is Blue at level 0.
        noise_level: one of `noise.LEVELS`, for red and blue.

    Returns:
        "red" or "blue", and one of `noise.LEVELS`.

    Raises:
        InputError: the level was not released.
    """
    if noise not in ("red", "blue"):
        return "blue", 0.0
    for level in LEVELS:
        if noise_level is not None and abs(level - noise_level) < 1e-6:
            return noise, level
    raise InputError(
        f"noise_level={noise_level} was not released for noise={noise}: choose one of "
        f"{', '.join(f'{level:g}' for level in LEVELS)}."
    )


def _prepared(color: str, data_dir: str) -> tfds.core.DatasetBuilder:
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


def _require_web_images(manual: epath.Path, lists: Sequence[str]) -> None:
    # TFDS prepares all ten levels at once.
    names = {name for path in lists for name in read_list(manual / path, 100)[0]}
    names = sorted(name for name in names if WEB_IMAGE.fullmatch(name))
    missing = missing_files(manual / "noisy_images", names)
    if missing:
        raise InputError(
            f"dataset=mini_imagenet lacks {len(missing)} of {len(names)} web images in "
            f"{manual / 'noisy_images'}, the first is {min(missing)}: download them by hand from "
            f"the addresses in {manual / 'dataset_no_images/mini-imagenet-annotations.json'}."
        )


def _split(level: float) -> str:
    return f"train_{round(100 * level):02d}"


def _is_clean(builder: tfds.core.DatasetBuilder, split: str) -> np.ndarray:
    return from_tfds.read(builder, split, label="is_clean").labels


def _clean_labels(builder: tfds.core.DatasetBuilder, ids: Sequence[str]) -> np.ndarray:
    clean = from_tfds.read(builder, _split(0.0))
    known = _is_clean(builder, _split(0.0)) == 1
    labels = {i: label for i, label, k in zip(clean.ids, clean.labels, known, strict=True) if k}
    return np.array([labels.get(identifier, UNKNOWN) for identifier in ids], np.int64)

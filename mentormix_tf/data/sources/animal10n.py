"""ANIMAL-10N (Song et al., "SELFIE", ICML 2019): five pairs of animals that are easily confused,
each image labeled by a person.

The version with images must be downloaded by hand, and its raw_image.zip unpacked into
`downloads/manual/animal10n/` of the data_dir:

    training/, testing/       the images, whose names begin with the label, as in 0_12.jpg
"""

import re

import numpy as np
from etils import epath

from mentormix_tf import files
from mentormix_tf.data.sources.base import UNKNOWN, Source, SourceSplit
from mentormix_tf.data.sources.manual_files import manual_dir, read_bytes, require
from mentormix_tf.errors import InputError, excerpt

__all__ = ["CLASS_NAMES", "COUNTS", "PAGE", "load"]

PAGE = "https://dm.kaist.ac.kr/datasets/animal-10n/ (the version with images), and unpack it there"
# In the order of the page's table.
CLASS_NAMES = (
    *("cat", "lynx", "wolf", "coyote", "cheetah"),
    *("jaguar", "chimpanzee", "orangutan", "hamster", "guinea pig"),
)
COUNTS = {"training": 50_000, "testing": 5_000}
_IMAGE = re.compile(r"([0-9])_.*\.jpe?g", re.IGNORECASE)


def load(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads 50,000 training images of 10 classes, and 5,000 test images.

    It is unknown which training labels are right; the authors estimate that 8 % are wrong.

    Args: see `Entry.load`.

    Raises:
        InputError: images are missing, or a file does not belong there.
    """
    folder = manual_dir(data_dir) / "animal10n"
    require("animal10n", folder, list(COUNTS), PAGE)
    train, test = (_split(folder, name) for name in COUNTS)
    unknown = np.full_like(train.labels, UNKNOWN)
    return Source(
        class_names=CLASS_NAMES,
        train=SourceSplit(train.ids, train.labels, train.images, unknown),
        test=test,
        image_shape=(None, None, 3),
        check_images=True,
    )


def _split(folder: epath.Path, name: str) -> SourceSplit:
    listed = (folder / name).iterdir() if (folder / name).is_dir() else ()
    names = sorted(path.name for path in listed if not files.is_hidden(path.name))
    labels = [_label(folder / name, file) for file in names]
    if len(names) != COUNTS[name]:
        raise InputError(
            f"dataset=animal10n: {folder / name} has {len(names)} images instead of "
            f"{COUNTS[name]}: download it again by hand from {PAGE}."
        )
    return SourceSplit(names, np.array(labels, np.int64), read_bytes(folder / name, names))


def _label(folder: epath.Path, file: str) -> int:
    match = _IMAGE.fullmatch(file)
    if not match:
        raise InputError(
            f"{folder} has {excerpt(file)!r}, which is not named like an image, such as 0_12.jpg "
            "with the label 0: move what does not belong there away."
        )
    return int(match[1])

"""ImageNet ILSVRC 2012 through TFDS, made of two archives that are downloaded by hand.

TFDS gives the classes in the order of their WordNet ids (n01440764 is 0). WebVision's
`info/synsets.txt` is taken to have the same order, as its first line does: a network trained on
WebVision is then tested on ILSVRC's validation set without a change of labels.
"""

import itertools

from mentormix_tf.data.sources import from_tfds
from mentormix_tf.data.sources.base import Source, SourceSplit
from mentormix_tf.data.sources.manual_files import manual_dir, require
from mentormix_tf.errors import InputError

IMAGENET_PAGE = "https://image-net.org/download-images (after registration)"
# The archives and their sizes in bytes.
TARS = {"ILSVRC2012_img_train.tar": 147_897_477_120, "ILSVRC2012_img_val.tar": 6_744_924_160}


def load_full(noise, noise_level, data_dir, argument):
    """1,281,167 training images of 1000 classes; the 50,000 validation images are the test split.

    Both archives are needed, also by those who only want to test a network.

    Raises:
        InputError: an archive is missing or not whole, or the data set was prepared without one.
    """
    return _load(data_dir, 1000)


def load_first_50(noise, noise_level, data_dir, argument):
    """The classes of mini-WebVision: the first 50 of ILSVRC, 2,500 test images.

    TFDS mixes the classes, so reading the training images passes over those of all 1000.

    Raises:
        InputError: as `load_full`.
    """
    return _load(data_dir, 50)


def _load(data_dir, classes):
    if not from_tfds.is_prepared("imagenet2012", data_dir):
        require("imagenet2012", manual_dir(data_dir), TARS, IMAGENET_PAGE)
    builder = from_tfds.prepared("imagenet2012", data_dir)
    for split in ("train", "validation"):
        # TFDS goes on without an archive that is missing.
        if split not in builder.info.splits:
            raise InputError(
                f"dataset=imagenet2012 has no split {split} in {builder.data_dir}: delete that "
                f"folder and prepare it again with {' and '.join(TARS)} in {manual_dir(data_dir)}."
            )
    features = builder.info.features
    return Source(
        class_names=features["label"].names[:classes],
        train=_first(classes, from_tfds.read(builder, "train")),
        test=_first(classes, from_tfds.read(builder, "validation")),
        image_shape=features["image"].shape,
    )


def _first(classes, split):
    kept = split.labels < classes
    return SourceSplit(
        list(itertools.compress(split.ids, kept)),
        split.labels[kept],
        lambda: itertools.compress(split.images(), kept),
    )

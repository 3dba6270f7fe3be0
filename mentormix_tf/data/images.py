"""Trying images before they are stored."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from mentormix_tf.data.sources.base import SourceSplit
from mentormix_tf.errors import InputError


def check(split, name, skip_bad_images):
    """Tries to decode every image of a split.

    Args:
        split: `SourceSplit`.
        name: its name, for the progress bar.
        skip_bad_images: leave images out that can't be decoded.

    Returns:
        `SourceSplit` without those images; WebP, which TensorFlow can't decode, comes as PNG.

    Raises:
        InputError: an image can't be decoded, and skip_bad_images is not set; or none can.
    """
    pairs = zip(split.ids, split.images(), strict=True)
    bar = tqdm(pairs, f"Trying {name} images", len(split.ids), disable=None)  # in terminals only
    bad = [identifier for identifier, image in bar if not _decodes(image)]
    if bad and not skip_bad_images:
        raise InputError(
            f"{len(bad)} of {len(split.ids)} {name} images can't be decoded, the first is "
            f"{bad[0]}: remove them, or leave them out with --skip_bad_images."
        )
    for identifier in bad:
        print(f"Left out {identifier}: it can't be decoded.")
    kept = ~np.isin(split.ids, bad)
    if not kept.any():
        raise InputError(f"None of the {len(split.ids)} {name} images can be decoded.")

    def images():
        return (_storable(im) for im, keep in zip(split.images(), kept, strict=True) if keep)

    return SourceSplit(
        ids=[identifier for identifier, keep in zip(split.ids, kept, strict=True) if keep],
        labels=split.labels[kept],
        images=images,
        true_labels=split.true_labels[kept],
        is_clean=split.is_clean[kept],
    )


def _decodes(image):
    try:
        tf.io.decode_image(_storable(image), channels=3, expand_animations=False)
        return True
    except (tf.errors.OpError, OSError, ValueError):
        return False


def _storable(image):
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        png = io.BytesIO()
        Image.open(io.BytesIO(image)).convert("RGB").save(png, "png")
        return png.getvalue()
    return image

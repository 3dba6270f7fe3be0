"""Classifying image files that a user names: each gets a class, or the reason why not."""

import dataclasses
import glob
import itertools
import pathlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf
from PIL import UnidentifiedImageError

from mentormix_tf.data import images


@dataclasses.dataclass(frozen=True)
class Row:
    """What was found of one image.

    Attributes:
        image: its path, or what the user named in place of one.
        top: pairs of class name and probability, the most probable first; empty with a reason.
        reason: why there is no class, or None.
    """

    image: str
    top: tuple = ()
    reason: str | None = None


def find(names):
    """The files that a user's words name.

    Args:
        names: files, folders (of which all files count, at any depth, but hidden ones) and
            patterns such as `photos/*.jpg`.

    Returns:
        A list with a `Row` for each file, and for each name without a file one with a reason.
    """
    return list(itertools.chain.from_iterable(_files(name) for name in names))


def _files(name):
    path = pathlib.Path(name).expanduser()
    if path.is_dir():
        files = sorted(
            file for file in path.rglob("*") if file.is_file() and not _hidden(file, path)
        )
        return [Row(str(file)) for file in files] or [Row(name, reason="the folder has no files")]
    if path.exists() or not glob.has_magic(name):
        return [Row(name)]
    matches = sorted(glob.glob(str(path), recursive=True))
    return find(matches) if matches else [Row(name, reason="no file matches")]


def _hidden(file, folder):
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def classify(rows, classifier, top_k=1, batch_size=64):
    """Reads and classifies image files.

    JPEG, PNG, GIF (its first frame) and BMP are decoded by TensorFlow as in evaluation, what else
    Pillow can read by Pillow.

    Args:
        rows: `Row`s as `find` gives them.
        classifier: `Classifier`.
        top_k: how many classes to name for each.
        batch_size: images that are classified at once.

    Yields:
        A `Row` for each of them, in their order.
    """
    with ThreadPoolExecutor() as threads:
        for start in range(0, len(rows), batch_size):
            chunk = rows[start : start + batch_size]
            read = list(threads.map(lambda row: _read(row, classifier), chunk))
            batch = [image for image, _ in read if image is not None]
            scores = iter(classifier.classify(np.stack(batch))["scores"].numpy() if batch else [])
            for row, (image, reason) in zip(chunk, read, strict=True):
                if image is None:
                    yield Row(row.image, reason=reason)
                else:
                    yield Row(row.image, _top(next(scores), classifier.class_names, top_k))


def _top(scores, class_names, top_k):
    order = np.argsort(-scores, kind="stable")[:top_k]
    return tuple((class_names[i], float(scores[i])) for i in order)


def _read(row, classifier):
    """An image as the network is shown it, or None and the reason why there is none."""
    if row.reason:
        return None, row.reason
    try:
        encoded = pathlib.Path(row.image).expanduser().read_bytes()
        if not encoded:
            return None, "the file is empty"
        try:
            return classifier.decode(images.storable(encoded)).numpy(), None
        except tf.errors.InvalidArgumentError:  # as for a JPEG in CMYK that becomes grey
            return classifier.decode(images.as_png(encoded)).numpy(), None
    except UnidentifiedImageError:
        return None, "not an image that can be read"
    except Exception as error:  # Pillow's parsers raise whatever they meet in a broken file
        if isinstance(error, OSError) and error.strerror:
            return None, error.strerror
        return None, f"the image can't be decoded: {error}"

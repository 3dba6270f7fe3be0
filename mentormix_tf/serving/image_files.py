"""Classifies image files: each gets a class, or the reason why it could not be classified."""

import dataclasses
import glob
import itertools
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf
from PIL import UnidentifiedImageError

from mentormix_tf.data import images
from mentormix_tf.files import expanded
from mentormix_tf.serving.classifier import Classifier

__all__ = ["Row", "classify", "find"]


@dataclasses.dataclass(frozen=True)
class Row:
    """The result for one image.

    Attributes:
        image: its path, or the name that the user gave if there is no file.
        top: pairs of class name and probability, the most probable first; empty if there is a
            reason.
        reason: why it could not be classified; None if it was.
    """

    image: str
    top: tuple[tuple[str, float], ...] = ()
    reason: str | None = None


def find(names: Iterable[str]) -> list[Row]:
    """Expands folders and patterns to files.

    Args:
        names: files, folders (all files in them at any depth, except hidden ones) and patterns such
            as `photos/*.jpg`.

    Returns:
        A `Row` for each file; for a folder or pattern without files, a `Row` with a reason.
    """
    return list(itertools.chain.from_iterable(_files(name) for name in names))


def _files(name):
    path = pathlib.Path(expanded(name, "image"))
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


def classify(
    rows: Sequence[Row], classifier: Classifier, top_k: int = 1, batch_size: int = 64
) -> Iterator[Row]:
    """Reads and classifies image files.

    TensorFlow decodes JPEG, PNG, GIF (its first frame) and BMP, as in evaluation; Pillow decodes
    its other formats.

    Args:
        rows: the files, as returned by `find`.
        classifier: the classifier.
        top_k: how many classes to name for each image.
        batch_size: images per batch.

    Yields:
        A `Row` for each of `rows`, in the same order.
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
    """`(image, None)`, decoded for the network, or `(None, reason)`."""
    if row.reason:
        return None, row.reason
    try:
        encoded = pathlib.Path(row.image).expanduser().read_bytes()
        if not encoded:
            return None, "the file is empty"
        try:
            return classifier.decode(images.storable(encoded)).numpy(), None
        except tf.errors.InvalidArgumentError:  # such as a CMYK JPEG for a grayscale network
            return classifier.decode(images.as_png(encoded)).numpy(), None
    except UnidentifiedImageError:
        return None, "not an image that can be read"
    except Exception as error:  # Pillow's parsers raise errors of any type on broken files
        if isinstance(error, OSError) and error.strerror:
            return None, error.strerror
        return None, f"the image can't be decoded: {error}"

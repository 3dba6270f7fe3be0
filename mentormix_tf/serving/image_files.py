"""Classifies image files: each gets a class, or the reason why it could not be classified."""

import contextlib
import dataclasses
import glob
import itertools
import os
import pathlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from mentormix_tf import files
from mentormix_tf.config import DataConfig
from mentormix_tf.data import images
from mentormix_tf.serving.classifier import Classifier

__all__ = ["AT_ONCE", "Row", "classify", "find"]

AT_ONCE = 50_000_000  # pixels that are decoded at the same time


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
    try:
        path = pathlib.Path(os.path.expanduser(name))
        if path.is_dir():
            # All but folders, since what can't be read is to get a row as well.
            found = sorted(
                file for file in path.rglob("*") if not file.is_dir() and not _hidden(file, path)
            )
            return [Row(str(file)) for file in found] or [
                Row(name, reason="the folder has no files")
            ]
        if os.path.lexists(path) or not glob.has_magic(name):
            return [Row(name)]
        matches = sorted(glob.glob(str(path), recursive=True))
    except (OSError, ValueError) as error:  # such as a name that is too long
        return [Row(name, reason=files.reason(error))]
    return find(matches) if matches else [Row(name, reason="no file matches")]


def _hidden(file, folder):
    return any(map(files.is_hidden, file.relative_to(folder).parts))


def classify(
    rows: Sequence[Row],
    classifier: Classifier,
    top_k: int = 1,
    batch_size: int = 64,
    max_pixels: int = DataConfig.max_image_pixels,
) -> Iterator[Row]:
    """Reads and classifies image files.

    TensorFlow decodes JPEG, PNG and BMP, as in evaluation; Pillow decodes GIF (its first frame),
    WebP and TIFF.

    Args:
        rows: the files, as returned by `find`.
        classifier: the classifier.
        top_k: how many classes to name for each image.
        batch_size: images per batch.
        max_pixels: most pixels of an image; a larger one is not decoded.

    Yields:
        A `Row` for each of `rows`, in the same order.
    """
    with ThreadPoolExecutor() as threads, ThreadPoolExecutor(1) as single:
        decode = _Decode(classifier, max_pixels, single)
        for start in range(0, len(rows), batch_size):
            chunk = rows[start : start + batch_size]
            # One first: threads that call TensorFlow's functions for the first time at once would
            # each trace them, and TensorFlow would warn.
            read = [decode(chunk[0]), *threads.map(decode, chunk[1:])]
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


class _Decode:
    """Reads and decodes images in many threads, but few pixels at a time.

    Args:
        classifier: decodes the images.
        max_pixels: most pixels of an image.
        single: one thread for large images, since memory that was freed stays with its thread.
    """

    def __init__(self, classifier, max_pixels, single):
        self.classifier, self.max_pixels, self.single = classifier, max_pixels, single
        self.pixels, self.change = 0, threading.Condition()

    def __call__(self, row):
        """`(image, None)`, decoded for the network, or `(None, reason)`."""
        if row.reason:
            return None, row.reason
        try:
            encoded = images.read(row.image, self.max_pixels)
            pixels = images.num_pixels(encoded)
            with self._turn(pixels):
                if pixels <= AT_ONCE // 4:
                    return self._decoded(encoded), None
                return self.single.submit(self._decoded, encoded).result(), None
        except Exception as error:  # one bad file must not cost the other rows
            return None, images.reason(error)

    @contextlib.contextmanager
    def _turn(self, pixels):
        """A context that waits until all that is decoded has few enough pixels, or is alone."""
        with self.change:
            self.change.wait_for(lambda: not self.pixels or self.pixels + pixels <= AT_ONCE)
            self.pixels += pixels
        try:
            yield
        finally:
            with self.change:
                self.pixels -= pixels
                self.change.notify_all()

    def _decoded(self, encoded):
        stored = images.storable(encoded, self.max_pixels)
        try:
            return self.classifier.decode(stored).numpy()
        except tf.errors.InvalidArgumentError:  # such as a CMYK JPEG for a grayscale network
            return self.classifier.decode(images.as_png(encoded)).numpy()

"""Computes the features of a split once, for runs that train the head alone."""

import dataclasses
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from mentormix_tf import files, randomness
from mentormix_tf.config import TrainingConfig
from mentormix_tf.data import augment, examples
from mentormix_tf.data.feature_cache import PART_BYTES, FeatureCache, digests
from mentormix_tf.data.prepared import NoisySplits
from mentormix_tf.distribution import strategies
from mentormix_tf.errors import InputError
from mentormix_tf.networks import trained_layers

__all__ = ["weights_sha256", "with_features"]

_log = logging.getLogger(__name__)
_SECONDS = 60  # of computing, at most, that a killed process loses
_BATCH = 96  # views of images, in a call of the backbone on each replica


def with_features(
    data: NoisySplits,
    training: TrainingConfig,
    backbone: keras.Model,
    augmentation: augment.Augmentation,
    strategy: tf.distribute.Strategy | None = None,
    names: Sequence[str] = (),
) -> NoisySplits:
    """Returns a split whose batches have features instead of images.

    Features are read from a folder beside the split; those that are missing are computed first, in
    inference mode, and written there. The first view of an image is the one that evaluation shows,
    the others are decoded and distorted as for training, at random, but the same ones whenever the
    image is seen.

    Args:
        data: the split.
        training: the network's settings, and how many views there are of each image.
        backbone: the network before its head, from images to features `[batch, size]`.
        augmentation: of the run.
        strategy: the devices that compute, in whose scope the backbone was built. Of several
            workers, all of which call this, the first computes.
        names: the splits whose features are needed; by default, all.

    Raises:
        InputError: the features don't fit in memory, or a file of them, or of the split, can't be
            read or written.
    """
    strategy = strategy or tf.distribute.get_strategy()
    image_shape, views = backbone.input_shape[1:], training.feature_views
    size = backbone.output_shape[-1]
    names = names or list(data.builder.info.splits)
    _check_memory(sum(data.num_examples(name) for name in names) * views * size * 4, views)
    facts = {
        "layers": _layers_sha256(backbone),
        "weights": weights_sha256(backbone),
        "precision": training.precision,
        "image_shape": list(image_shape),
        "views": views,
        "first_view": _name(augment.for_evaluation(augmentation, data.image_shape)),
        "other_views": _name(augmentation) if views > 1 else "",
    }
    name = f"{os.path.basename(training.network)}-{image_shape[0]}x{image_shape[1]}-{views}views"
    folder = data.path.parent.parent / "features"
    cache = FeatureCache(folder, name, facts, views, size)
    keys = {name: digests(examples.encoded(data, name)) for name in names}
    found = _read(cache, keys)
    if strategies.any_worker(strategy, found is None):
        if strategies.is_chief(strategy):
            compute = _Backbone(backbone, views, strategy)
            make_views = _views(augmentation, data, image_shape, views)
            _add_missing(data, keys, cache, make_views, compute)
        strategies.wait_for_all(strategy)
        found = _read(cache, keys)
    if found is None:
        raise InputError(
            f"{cache.path} lacks features of {data.path}: name a data_dir on storage that all "
            "workers share, and start again."
        )
    _log.info(
        "Features: %s of %s of each image, from %s",
        f"{size:,}",
        "one view, not augmented," if views == 1 else f"{views} views",
        cache.path,
    )
    return dataclasses.replace(data, features=found)


def weights_sha256(network: keras.Model) -> str:
    """The SHA-256 of a network's weights, whatever its layers are called."""
    sha256 = hashlib.sha256()
    for weight in network.weights:
        value = np.asarray(keras.ops.convert_to_numpy(weight))
        sha256.update(f"{value.dtype}{value.shape}".encode())
        sha256.update(np.ascontiguousarray(value).tobytes())
    return sha256.hexdigest()


def _layers_sha256(network):
    """The SHA-256 of what a network's layers do, whatever they are called, and whether frozen."""
    configs = [type(layer).__name__ + _settings(layer) for layer in trained_layers.inside(network)]
    return hashlib.sha256("\n".join(configs).encode()).hexdigest()


def _settings(layer):
    config = layer.get_config()
    kept = {name: config[name] for name in sorted(config.keys() - {"name", "trainable", "dtype"})}
    return json.dumps(kept, default=str)


def _name(augmentation):
    """The name of an augmentation."""
    known = augment.AUGMENTATIONS.items()
    return next(name for name, each in known if each is augmentation)


def _check_memory(needed, views):
    has = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if 2 * needed > has:  # they are copied once
        raise InputError(
            f"feature_views={views}: the features take {needed / 2**30:,.1f} GB, too much for "
            f"this machine's {has / 2**30:,.0f} GB of memory: use fewer views, or compute them in "
            "each step, by --feature_views=0."
        )


def _views(augmentation, data, image_shape, views) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from an encoded image to `[views, height, width, channels]`, float32."""
    decode_eval = augment.for_evaluation(augmentation, data.image_shape).decode_eval

    def view(encoded, number):
        if number == 0:
            return decode_eval(encoded, image_shape, tf.constant([0, 0]))
        by_image = tf.strings.to_hash_bucket_strong(encoded, 2**31 - 1, [1, 2])
        seed = randomness.fold_in([number, 0], by_image)
        image = augmentation.decode_train(encoded, image_shape, randomness.fold_in(seed, 0))
        return augmentation.distort(image[None], randomness.fold_in(seed, 1))[0]

    return lambda encoded: tf.stack([view(encoded, number) for number in range(views)])


def _read(cache, keys):
    """The features of all splits; None if any are missing."""
    found = {}
    for name, images in keys.items():
        found[name], is_there = cache.read(images)
        if not is_there.all():
            return None
    return found


def _add_missing(data, keys, cache, make_views, compute):
    """Computes the features that the cache lacks; other processes wait for them."""
    cache.path.mkdir(parents=True, exist_ok=True)
    with files.lock(cache.path):
        lacking = {name: ~cache.read(each)[1] for name, each in keys.items()}
        total = sum(int(each.sum()) for each in lacking.values())
        _log.info("Computing features of %s images, for this run and later ones", f"{total:,}")
        with tqdm(desc="Computing features", total=total, unit=" images", disable=None) as bar:
            for name, missing in lacking.items():
                batches = _batches(data, name, missing, make_views, compute.rows)
                _add(keys[name][missing], map(compute, batches), cache, bar)


def _batches(data, split, chosen, make_views, rows) -> Iterator[np.ndarray]:
    """Views of the chosen images of a split: `[rows, views, height, width, channels]`, float32."""
    stored = examples.stored(data, split).enumerate()
    is_chosen: Any = lambda i, example: tf.gather(tf.constant(chosen), i)  # noqa: E731
    stored = stored.filter(is_chosen)
    show = tf.autograph.experimental.do_not_convert(lambda i, each: make_views(each["image"]))
    shown = stored.map(show, examples.AUTOTUNE)
    with examples.decoding(data, split):
        yield from shown.batch(rows).prefetch(1).as_numpy_iterator()


def _add(images, batches, cache, bar):
    """Writes the features of images to the cache, in files of limited size, every minute."""
    waiting, done, written = [], 0, time.monotonic()
    for features in batches:
        waiting.append(features)
        bar.update(len(features))
        is_late = time.monotonic() - written > _SECONDS
        if is_late or sum(part.nbytes for part in waiting) >= PART_BYTES:
            done += _write(images[done:], waiting, cache)
            waiting, written = [], time.monotonic()
    if waiting:
        _write(images[done:], waiting, cache)


def _write(images, parts, cache):
    features = np.concatenate(parts)
    if not np.isfinite(features).all():
        raise InputError(
            "The network gives features that are NaN or infinite: check its --preprocessing."
        )
    cache.add(images[: len(features)], features)
    return len(features)


class _Backbone:
    """Computes features on all replicas of this process.

    Attributes:
        rows: images, each with its views, in a batch.
    """

    def __init__(self, backbone: keras.Model, views: int, strategy: tf.distribute.Strategy):
        self._strategy, self._views = strategy, views
        is_one = strategy.num_replicas_in_sync == 1
        self._count = 1 if is_one else len(strategy.extended.worker_devices)  # of this process
        self.rows = self._count * max(1, _BATCH // views)
        step = lambda images: tf.cast(backbone(images, training=False), tf.float32)  # noqa: E731
        self._run = tf.function(lambda images: strategy.run(step, args=(images,)), autograph=False)

    def __call__(self, views: np.ndarray) -> np.ndarray:
        """Returns the features `[n, views, size]`, float32, of at most `rows` images."""
        # Always the same shape, so that the function is traced, or compiled, once.
        padded = np.zeros((self.rows, *views.shape[1:]), np.float32)
        padded[: len(views)] = views
        parts = np.split(padded.reshape(-1, *views.shape[2:]), self._count)
        shown = self._strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group % self._count])
        )
        found = self._strategy.experimental_local_results(self._run(shown))
        features = np.concatenate([part.numpy() for part in found])
        return features.reshape(self.rows, self._views, -1)[: len(views)]

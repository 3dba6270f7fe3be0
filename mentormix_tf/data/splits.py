"""Noisy splits: a data set whose training labels were made wrong on purpose, and what is known
of it."""

import dataclasses
import hashlib

import numpy as np

from mentormix_tf.data import noise, sources


@dataclasses.dataclass(frozen=True)
class NoisySplits:
    """A data set ready for training.

    Each split is a dict of arrays of one length: `image` `[n, height, width, channels]` uint8,
    `label` `[n]` int64 (what training sees), `true_label` `[n]` int64, `is_clean` `[n]` int64
    (1 where the two agree, else 0) and `id` `[n]` bytes.

    Attributes:
        train: training examples, with noisy labels.
        validation: examples cut from training, with noisy labels, or None.
        test: examples with the labels they came with.
        class_names: name of each class.
        realized_noise_rate: fraction of the labels, validation's too, that are wrong.
        sha256: hash over (id, label) of the labels, validation's too.
    """

    train: dict
    validation: dict | None
    test: dict
    class_names: list
    realized_noise_rate: float
    sha256: str


def make(config):
    """Makes the noisy splits that a `DataConfig` describes.

    Args:
        config: `DataConfig`.

    Returns:
        `NoisySplits`.

    Raises:
        InputError: the data set is not known.
    """
    loaded, class_names = sources.load(config.dataset)
    images, true_labels = loaded["train"]
    labels = noise.symmetric(true_labels, len(class_names), config.noise_level, config.noise_seed)
    noisy = _examples("train", images, labels, true_labels)
    # Another stream than the noise's own, so that the cut tells nothing of which labels are wrong.
    order = np.random.RandomState([config.noise_seed, 1]).permutation(len(labels))
    cut = round(config.validation_fraction * len(labels))
    held_out, kept = np.sort(order[:cut]), np.sort(order[cut:])
    return NoisySplits(
        train={name: values[kept] for name, values in noisy.items()},
        validation={name: values[held_out] for name, values in noisy.items()} if cut else None,
        test=_examples("test", loaded["test"][0], loaded["test"][1], loaded["test"][1]),
        class_names=class_names,
        realized_noise_rate=float(np.mean(labels != true_labels)),
        sha256=_sha256(noisy),
    )


def _examples(split, images, labels, true_labels):
    return {
        "image": images,
        "label": np.asarray(labels, np.int64),
        "true_label": np.asarray(true_labels, np.int64),
        "is_clean": np.asarray(labels == true_labels, np.int64),
        "id": np.array([f"{split}_{i:05d}".encode() for i in range(len(labels))]),
    }


def _sha256(examples):
    digest = hashlib.sha256()
    for example_id, label in zip(examples["id"], examples["label"], strict=True):
        digest.update(example_id + b" %d\n" % label)
    return digest.hexdigest()

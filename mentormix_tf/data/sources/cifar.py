"""CIFAR-10 and CIFAR-100, and the human labels of CIFAR-10N and CIFAR-100N, through TFDS.

The human labels (Wei et al., "Learning with Noisy Labels Revisited", ICLR 2022; CC BY-NC 4.0) must
be downloaded by hand, as TFDS requires.
"""

import numpy as np
import tensorflow_datasets as tfds

from mentormix_tf.data.sources import from_tfds
from mentormix_tf.data.sources.base import Source, SourceSplit
from mentormix_tf.data.sources.manual_files import manual_dir, require

__all__ = [
    "CIFAR10_N",
    "CIFAR10_PAIRS",
    "CIFAR100_N",
    "load_cifar10",
    "load_cifar10_n",
    "load_cifar100",
    "load_cifar100_n",
]

# truck → automobile, bird → airplane, deer → horse, cat ↔ dog: the pairs of Patrini et al.,
# "Making Deep Neural Networks Robust to Label Noise", CVPR 2017.
CIFAR10_PAIRS = {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}

CIFAR10_N = {
    "human_worse": "worse_label",
    "human_aggre": "aggre_label",
    "human_random1": "random_label1",
    "human_random2": "random_label2",
    "human_random3": "random_label3",
}
CIFAR100_N = {"human": "noise_label"}


def load_cifar10(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads CIFAR-10: 50,000 training and 10,000 test images of 32 x 32 pixels.

    Args: see `Entry.load`.
    """
    builder = from_tfds.prepared("cifar10", data_dir)
    return _cifar10(builder, from_tfds.read(builder, "train"))


def load_cifar10_n(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads CIFAR-10 with one of five sets of human labels, or clean if noise is not one of them.

    Args: see `Entry.load`; the human noises are the keys of `CIFAR10_N`.

    Raises:
        InputError: the human labels have not been downloaded.
    """
    builder = _with_human_labels("cifar10_n", "10", data_dir)
    label = CIFAR10_N.get(noise, "label")
    return _cifar10(builder, from_tfds.read(builder, "train", label, true_label="label"))


def load_cifar100(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads CIFAR-100, whose asymmetric noise goes to the next class of the same superclass.

    Args: see `Entry.load`.
    """
    builder = from_tfds.prepared("cifar100", data_dir)
    return from_tfds.source(
        builder,
        from_tfds.read(builder, "train"),
        from_tfds.read(builder, "test"),
        asymmetric=_next_in_superclass(builder),
    )


def load_cifar100_n(noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
    """Loads CIFAR-100 with human labels, or clean if noise is not "human".

    Args: see `Entry.load`.

    Raises:
        InputError: the human labels have not been downloaded.
    """
    builder = _with_human_labels("cifar100_n", "100", data_dir)
    label = CIFAR100_N.get(noise, "label")
    train = from_tfds.read(builder, "train", label, true_label="label")
    return from_tfds.source(builder, train, from_tfds.read(builder, "test"))


def _with_human_labels(name: str, classes: str, data_dir: str) -> tfds.core.DatasetBuilder:
    files = [
        f"CIFAR-{classes}_human_annotations.csv",
        f"side_info_cifar{classes}N.csv",
        f"image_order_c{classes}.npy",
    ]
    page = (
        "https://github.com/UCSC-REAL/cifar-10-100n, and create the .csv of annotations as shown "
        f"on https://www.tensorflow.org/datasets/catalog/{name}"
    )
    if not from_tfds.is_prepared(name, data_dir):
        require(name, manual_dir(data_dir), files, page)
    return from_tfds.prepared(name, data_dir)


def _cifar10(builder: tfds.core.DatasetBuilder, train: SourceSplit) -> Source:
    pairs = np.arange(10)
    pairs[list(CIFAR10_PAIRS)] = list(CIFAR10_PAIRS.values())
    test = from_tfds.read(builder, "test")
    return from_tfds.source(builder, train, test, asymmetric=pairs)


def _next_in_superclass(builder: tfds.core.DatasetBuilder) -> np.ndarray:
    columns = {"label": True, "coarse_label": True}
    rows = builder.as_dataset(
        split="train",  # pyright: ignore[reportCallIssue]  # hidden by a decorator of TFDS
        decoders=tfds.decode.PartialDecoding(columns),
    )
    superclass = {int(row["label"]): int(row["coarse_label"]) for row in rows.as_numpy_iterator()}
    following = np.arange(100)
    for label, coarse in superclass.items():
        siblings = sorted(k for k, other in superclass.items() if other == coarse)
        following[label] = siblings[(siblings.index(label) + 1) % len(siblings)]
    return following

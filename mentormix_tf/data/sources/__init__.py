"""Sources: data sets with the labels they came with, by name."""

import dataclasses
from collections.abc import Callable

from mentormix_tf.data.sources import (
    cifar,
    digits,
    fashion_mnist,
    from_tfds,
    imagenet2012,
    mini_imagenet,
    stanford_cars,
    users_own,
    webvision,
)
from mentormix_tf.data.sources.base import Source, SourceSplit
from mentormix_tf.errors import InputError

SYNTHETIC = ("symmetric", "uniform", "asymmetric", "matrix", "from_file")


@dataclasses.dataclass(frozen=True)
class Entry:
    """A data set by name.

    Attributes:
        load: function of (noise, noise_level, data_dir, argument) that returns a `Source`, with
            labels as the noise asks if it is the data set's own, else clean.
        noises: the data set's own kinds of noise; the first is its default.
        synthetic: whether synthetic noise can be added, since clean labels are at hand.
    """

    load: Callable
    noises: tuple = ()
    synthetic: bool = True

    def choose_noise(self, dataset, noise):
        """The kind of noise to use; raises InputError for one that the data set can't have."""
        allowed = self.noises + (SYNTHETIC if self.synthetic else ())
        if noise and noise not in allowed:
            raise InputError(
                f"noise={noise} is unknown for dataset={dataset}: choose one of "
                f"{', '.join(allowed)}."
            )
        return noise or allowed[0]


SOURCES = {
    "digits": Entry(digits.load),
    "fashion_mnist": Entry(fashion_mnist.load),
    "cifar10": Entry(cifar.load_cifar10),
    "cifar100": Entry(cifar.load_cifar100),
    "cifar10_n": Entry(cifar.load_cifar10_n, tuple(cifar.CIFAR10_N)),
    "cifar100_n": Entry(cifar.load_cifar100_n, tuple(cifar.CIFAR100_N)),
    "mini_imagenet": Entry(mini_imagenet.load, ("red", "blue")),
    "stanford_cars": Entry(stanford_cars.load, ("red", "blue")),
    "webvision": Entry(webvision.load_full, ("web",), synthetic=False),
    "mini_webvision": Entry(webvision.load_mini, ("web",), synthetic=False),
    "imagenet2012": Entry(imagenet2012.load_full),
    "imagenet2012_50": Entry(imagenet2012.load_first_50),
}
FAMILIES = {
    "tfds": Entry(from_tfds.load),
    "folder": Entry(users_own.load_folder, ("none",)),
    "csv": Entry(users_own.load_csv, ("none",)),
}

__all__ = ["FAMILIES", "SOURCES", "SYNTHETIC", "Source", "SourceSplit", "get"]


def get(dataset):
    """Looks a data set up.

    Args:
        dataset: one of `SOURCES`, or one of `FAMILIES` with an argument, as in `folder:PATH`.

    Returns:
        Its `Entry`, and the argument ("" where there is none).

    Raises:
        InputError: the name is not known.
    """
    family, _, argument = dataset.partition(":")
    if argument and family in FAMILIES:
        return FAMILIES[family], argument
    if dataset not in SOURCES:
        names = [*SOURCES, "tfds:NAME", "folder:PATH", "csv:PATH"]
        raise InputError(f"dataset={dataset} is unknown: choose one of {', '.join(names)}.")
    return SOURCES[dataset], ""

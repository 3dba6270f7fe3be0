"""The registry of sources: data sets with their original labels, by name.

To add one, write a `load` function in a module of this folder and add an entry here. The module is
imported when the data set is first loaded, so this registry needs neither TensorFlow nor TensorFlow
Datasets.
"""

import dataclasses
import pkgutil
from collections.abc import Mapping

from mentormix_tf.data import annotators, noise
from mentormix_tf.data.noise import NoiseKind
from mentormix_tf.data.sources.base import Source, SourceSplit
from mentormix_tf.errors import InputError

__all__ = [
    "FAMILIES",
    "SOURCES",
    "Entry",
    "Source",
    "SourceSplit",
    "by_name",
    "get",
    "names",
    "noise_names",
]


@dataclasses.dataclass(frozen=True)
class Entry:
    """A data set by name.

    Attributes:
        loader: `module:function` in this package, such as `cifar:load_cifar10`. The function takes
            (noise, noise_level, data_dir, argument) and returns a `Source`: with the noisy labels
            if the noise is one of the data set's own, otherwise with clean labels.
        description: the images, in Markdown, for the docs.
        needs: what the user has to provide, in Markdown, for the docs.
        own_noises: the data set's own kinds of noise by name.
        synthetic: whether the kinds in `noise.NOISES` can be added, because clean labels exist.
        default_noise: the kind of noise without --noise; "" for the first of `noise_kinds`.
        argument: placeholder of the argument after a family's name and colon, such as "PATH"; ""
            for a single data set.
        has_verified: whether the data set may say itself which labels a person has checked.
    """

    loader: str
    description: str
    needs: str = "nothing: TFDS downloads it"
    own_noises: Mapping[str, NoiseKind] = dataclasses.field(default_factory=dict)
    synthetic: bool = True
    default_noise: str = ""
    argument: str = ""
    has_verified: bool = False

    @property
    def noise_kinds(self) -> dict[str, NoiseKind]:
        """Every kind of noise that this data set can have, by name, its own first."""
        return {**self.own_noises, **(noise.NOISES if self.synthetic else {})}

    def choose_noise(self, dataset: str, chosen: str) -> str:
        """Returns the name of the noise to use.

        Args:
            dataset: name of the data set, for the error message.
            chosen: the name that the user gave, or "" for the default.

        Raises:
            InputError: the data set does not support this kind of noise.
        """
        kinds = list(self.noise_kinds)
        if chosen and chosen not in kinds:
            raise InputError(
                f"noise={chosen} is unknown for dataset={dataset}: choose one of "
                f"{', '.join(kinds)}."
            )
        return chosen or self.default_noise or kinds[0]

    def load(self, noise: str, noise_level: float | None, data_dir: str, argument: str) -> Source:
        """Calls the loader.

        Args:
            noise: kind of noise, one of `noise_kinds`.
            noise_level: fraction of wrong labels, in [0, 1]; None for noise without levels.
            data_dir: the data_dir of TFDS.
            argument: the argument of a family, "" for a single data set.

        Raises:
            InputError: the data set is missing or damaged; see the loader.
        """
        function = pkgutil.resolve_name(f"{__name__}.{self.loader}")
        return function(noise, noise_level, data_dir, argument)


_RED_AND_BLUE = {
    "red": NoiseKind(
        "the fraction `noise_level` of the images replaced by mislabeled ones from the web; "
        "released at 0, 5, 10, 15, 20, 30, 40, 50, 60 and 80 %",
        takes_level=True,
    ),
    "blue": NoiseKind(
        "symmetric noise, released at the same levels",
        takes_level=True,
    ),
}
_WEB = {
    "web": NoiseKind(
        "unchanged: the web searches that found the images; in Clothing1M, the words around them"
    )
}
_CIFAR10_N = {
    "human_worse": NoiseKind("a wrong label among those of three people, if there is one"),
    "human_aggre": NoiseKind("the majority of three people's labels"),
    "human_random1": NoiseKind("the first person's label"),
    "human_random2": NoiseKind("the second person's label"),
    "human_random3": NoiseKind("the third person's label"),
}
_ANNOTATORS = {
    "annotators_majority": NoiseKind(
        "of several rows with one path, the label that most have; equals are drawn by seed",
        lambda given: annotators.majority(given.votes, given.seed),
    ),
    "annotators_drawn": NoiseKind(
        "of several rows with one path, one drawn by seed",
        lambda given: annotators.drawn(given.votes, given.seed),
    ),
}
_HUMAN = {"human": NoiseKind("one person's label")}

SOURCES = {
    "digits": Entry(
        "digits:load",
        "scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels, 10 classes",
        needs="nothing",
    ),
    "fashion_mnist": Entry(
        "fashion_mnist:load",
        "Fashion-MNIST: 70,000 gray images of clothes, 28 x 28 pixels, 10 classes",
        needs="nothing (TFDS downloads it), or its four official files in "
        "`downloads/manual/fashion_mnist` of the data_dir, or Debian's package "
        "dataset-fashion-mnist",
    ),
    "cifar10": Entry("cifar:load_cifar10", "CIFAR-10: 60,000 images of 32 x 32 pixels, 10 classes"),
    "cifar100": Entry(
        "cifar:load_cifar100", "CIFAR-100: 60,000 images of 32 x 32 pixels, 100 classes"
    ),
    "cifar10_n": Entry(
        "cifar:load_cifar10_n",
        "CIFAR-10 with human labels",
        needs="the human labels, by hand (CC BY-NC 4.0)",
        own_noises=_CIFAR10_N,
    ),
    "cifar100_n": Entry(
        "cifar:load_cifar100_n",
        "CIFAR-100 with human labels",
        needs="the human labels, by hand (CC BY-NC 4.0)",
        own_noises=_HUMAN,
    ),
    "mini_imagenet": Entry(
        "mini_imagenet:load",
        "the paper's Red and Blue Mini-ImageNet: 84 x 84 pixels, 100 classes",
        needs="ImageNet's two archives, the released labels and, for red, the web images, by hand; "
        "`pip install 'mentormix-tf[mini_imagenet]'`",
        own_noises=_RED_AND_BLUE,
    ),
    "stanford_cars": Entry(
        "stanford_cars:load",
        "the paper's Red and Blue Stanford Cars: 196 classes",
        needs="the Cars images, the released labels and, for red, the web images, by hand",
        own_noises=_RED_AND_BLUE,
    ),
    "webvision": Entry(
        "webvision:load_full",
        "WebVision 1.0: 2.4 million images from the web, 1000 classes",
        needs="WebVision 1.0, by hand",
        own_noises=_WEB,
        synthetic=False,
    ),
    "mini_webvision": Entry(
        "webvision:load_mini",
        "the first 50 classes of WebVision's Google images",
        needs="WebVision 1.0 without its Flickr images, by hand",
        own_noises=_WEB,
        synthetic=False,
    ),
    "clothing1m": Entry(
        "clothing1m:load",
        "Clothing1M: a million images of clothes from online shops, 14 classes",
        needs="Clothing1M, by hand, on request from its authors",
        own_noises=_WEB,
        synthetic=False,
        has_verified=True,
    ),
    "clothing1m_verified": Entry(
        "clothing1m:load_verified",
        "Clothing1M and the images of its clean training list that have a noisy label, too: which "
        "of these labels are right is known and [verified](#verified-labels)",
        needs="Clothing1M, by hand, on request from its authors",
        own_noises=_WEB,
        synthetic=False,
        has_verified=True,
    ),
    "food101n": Entry(
        "food101n:load",
        "Food-101N: 310,009 images of dishes from the web, 101 classes, with "
        "[verified labels](#verified-labels); tested on Food-101",
        needs="Food-101N and Food-101, by hand",
        own_noises=_WEB,
        synthetic=False,
        has_verified=True,
    ),
    "animal10n": Entry(
        "animal10n:load",
        "ANIMAL-10N: 55,000 images of animals that are easily confused, 10 classes",
        needs="ANIMAL-10N's images, by hand, after filling in a form",
        own_noises=_HUMAN,
        synthetic=False,
    ),
    "imagenet2012": Entry(
        "imagenet2012:load_full",
        "ImageNet ILSVRC 2012: 1.3 million images, 1000 classes",
        needs="ImageNet's two archives, by hand",
    ),
    "imagenet2012_50": Entry(
        "imagenet2012:load_first_50",
        "the first 50 classes of ImageNet, which are those of mini-WebVision",
        needs="ImageNet's two archives, by hand",
    ),
}

# Data sets whose names include an argument, as in `folder:PATH`.
FAMILIES = {
    "tfds": Entry(
        "from_tfds:load",
        "any image classification set of TensorFlow Datasets, such as `tfds:oxford_flowers102`",
        needs="whatever TFDS asks for, usually nothing",
        argument="NAME",
    ),
    "folder": Entry(
        "users_folder:load",
        "your images, in a folder for each class",
        needs="jpg, png, webp, bmp, gif or tiff files; without `train/` and `test/` above the "
        "class folders, a fifth of each class is kept for testing",
        default_noise="none",
        argument="PATH",
    ),
    "csv": Entry(
        "users_csv:load",
        "your images, listed in a CSV file",
        needs="columns `path` and `label`, optionally `true_label`, `split` (train, validation or "
        "test) and `verified`",
        own_noises=_ANNOTATORS,
        default_noise="none",
        argument="PATH",
        has_verified=True,
    ),
}


def get(dataset: str) -> tuple[Entry, str]:
    """Looks up a data set.

    Args:
        dataset: one of `SOURCES`, or one of `FAMILIES` with an argument, as in `folder:PATH`.

    Returns:
        Its entry, and the argument ("" if it has none).

    Raises:
        InputError: the name is unknown.
    """
    family, _, argument = dataset.partition(":")
    if argument and family in FAMILIES:
        return FAMILIES[family], argument
    if dataset not in SOURCES:
        raise InputError(f"dataset={dataset} is unknown: choose one of {names()}.")
    return SOURCES[dataset], ""


def by_name() -> dict[str, Entry]:
    """Returns all entries by the values of --dataset: `digits`, ..., `folder:PATH`, `csv:PATH`."""
    families = {f"{family}:{entry.argument}": entry for family, entry in FAMILIES.items()}
    return {**SOURCES, **families}


def names() -> str:
    """Lists the values of --dataset, separated by commas."""
    return ", ".join(by_name())


def noise_names() -> str:
    """Lists the values of --noise: the kinds for clean labels, then the data sets' own."""
    own = dict.fromkeys(name for entry in by_name().values() for name in entry.own_noises)
    return f"{noise.names()}, or the data set's own: {', '.join(own)}"

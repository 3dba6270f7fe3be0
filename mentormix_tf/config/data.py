"""The noisy split to train on."""

import dataclasses

from mentormix_tf.errors import InputError

__all__ = ["DataConfig", "check_max_image_pixels"]

_MOST_PIXELS = 178_956_970


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The noisy split to train on.

    Args:
        dataset: data set, one of {datasets}.
        noise: kind of label noise: {noises}. Default: the data set's own noise if it has any,
            otherwise symmetric.
        noise_level: fraction of the training labels to make wrong, in [0, 1]. Default: 0.4.
        noise_seed: seed of the noise and of the choice of validation examples.
        noise_file: file (.npy, .csv or .json) that some kinds of noise need, such as the transition
            matrix for --noise=matrix or the labels for --noise=from_file.
        corrections: CSV file of a person's corrections of the split that the other flags name, as
            the audit saves it. Several files, separated by commas, are applied in turn, each to the
            split that those before it made.
        examples_file: file (.csv or .npz) with an id and a weight, keep=0 to leave the example out,
            or the share of all steps from which on it takes part (start), for training examples;
            the split stays as it is.
        validation_fraction: fraction of the noisy training examples to hold out, in [0, 1), for
            choosing hyperparameters without the test labels.
        train_examples: number of training examples to use, chosen at random by noise_seed;
            validation examples are taken out of these. Default: all.
        verified_fraction: fraction of the training labels, in (0, 1], that the split says to be
            verified, as if a person had checked them: a random sample of examples whose true labels
            are known. Default: none.
        verified_classes: names of the only classes whose labels to verify, separated by commas.
            Default: all.
        verified_seed: seed of the choice of labels to verify.
        data_dir: folder of TensorFlow Datasets, for prepared splits and downloads.
        max_image_pixels: most pixels, height times width, of an image file; larger ones are not
            decoded.
    """

    dataset: str = "digits"
    noise: str = ""
    noise_level: float | None = None
    noise_seed: int = 0
    noise_file: str = ""
    corrections: str = ""
    examples_file: str = ""
    validation_fraction: float = 0.0
    train_examples: int | None = None
    verified_fraction: float | None = None
    verified_classes: tuple[str, ...] = ()
    verified_seed: int = 0
    data_dir: str = "~/tensorflow_datasets"
    max_image_pixels: int = 50_000_000

    def __post_init__(self) -> None:
        if self.noise_level is not None and not 0.0 <= self.noise_level <= 1.0:
            raise InputError(f"noise_level={self.noise_level} must lie in [0, 1].")
        if not 0.0 <= self.validation_fraction < 1.0:
            raise InputError(f"validation_fraction={self.validation_fraction} must lie in [0, 1).")
        if self.train_examples is not None and self.train_examples < 1:
            raise InputError(f"train_examples={self.train_examples} must be at least 1.")
        if self.verified_fraction is not None and not 0.0 < self.verified_fraction <= 1.0:
            raise InputError(f"verified_fraction={self.verified_fraction} must lie in (0, 1].")
        if self.verified_classes and self.verified_fraction is None:
            raise InputError(
                f"verified_classes={','.join(self.verified_classes)} needs a --verified_fraction."
            )
        if not self.data_dir:
            raise InputError("data_dir is empty: name a folder.")
        for name in ("noise_seed", "verified_seed"):
            if not 0 <= getattr(self, name) < 2**32:
                raise InputError(f"{name}={getattr(self, name)} must lie in [0, 2**32).")
        check_max_image_pixels(self.max_image_pixels)


def check_max_image_pixels(value: int) -> None:
    """Checks a limit of the pixels of an image.

    Raises:
        InputError: it is less than 1, or so large that Pillow refuses images below it.
    """
    if not 1 <= value <= _MOST_PIXELS:
        raise InputError(f"max_image_pixels={value} must lie in [1, {_MOST_PIXELS}].")

"""A prepared noisy split: opening it, and making batches from it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath

from mentormix_tf import files
from mentormix_tf.data import augment, examples, examples_file, metadata, pipeline, stages
from mentormix_tf.errors import InputError

__all__ = ["NoisySplits", "load", "read"]


@dataclasses.dataclass(frozen=True)
class NoisySplits:
    """A prepared noisy split.

    Attributes:
        path: its folder.
        builder: TFDS builder with the splits train and, if the data set has them, validation and
            test.
        manifest: its settings, its measured noise and the sizes of its files.
        weights: `[n]`, float32, what the losses of the training examples are multiplied by, in the
            order of the files; None for 1 each.
        kept: `[n]`, bool, which of them to train on; None for all.
        starts: `[n]`, float64, in [0, 1), the share of all steps from which on to train on them;
            None for all from the first step on.
        examples_name: the flag and the file that says so, for errors; "" without one.
        examples_sha256: SHA-256 of that file; "" without one.
        features: by split, `[n, views, size]`, float32, in the order of the files: what batches
            have instead of images; None for images.
    """

    path: epath.Path
    builder: tfds.core.DatasetBuilder
    manifest: dict[str, Any]
    weights: np.ndarray | None = None
    kept: np.ndarray | None = None
    starts: np.ndarray | None = None
    examples_name: str = ""
    examples_sha256: str = ""
    features: Mapping[str, np.ndarray] | None = None

    @property
    def class_names(self) -> list[str]:
        """The name of each class."""
        features: Any = self.builder.info.features
        return features["label"].names

    @property
    def image_shape(self) -> tuple[int | None, int | None, int]:
        """`(height, width, channels)`; None for a side that varies between images."""
        features: Any = self.builder.info.features
        return features["image"].shape

    @property
    def has_verified(self) -> bool:
        """Whether a person has checked labels, as the column verified says of each example."""
        return "num_verified" in self.manifest

    def __contains__(self, split: str) -> bool:
        return split in self.builder.info.splits

    def num_examples(self, split: str) -> int:
        """Returns the number of examples in a split."""
        return self.builder.info.splits[split].num_examples

    def with_examples_file(self, found: examples_file.ExamplesFile) -> "NoisySplits":
        """Returns this split with weights of its training examples.

        Args:
            found: the contents of the file. Weights that are all 1 are as no weights.

        Raises:
            InputError: the file does not fit the split, or a file of the split is damaged.
        """
        ids = [each.decode() for each in examples.columns(self, "train", ["id"])["id"]]
        weights, kept, starts = examples_file.located(found, self.manifest["split_sha256"], ids)
        return dataclasses.replace(
            self,
            weights=None if (weights == 1).all() else weights,
            kept=None if kept.all() else kept,
            starts=None if (starts[kept] == 0).all() else starts,
            examples_name=found.name,
            examples_sha256=found.sha256,
        )

    def files(self, split: str) -> list[str]:
        """Returns the paths of the files of a split that have records."""
        info = self.builder.info.splits[split]
        counted = zip(info.filepaths, info.shard_lengths, strict=True)
        return [str(path) for path, count in counted if count]

    def steps_per_epoch(self, batch_size: int) -> int:
        """Returns the number of complete batches in an epoch of all training examples.

        Raises:
            InputError: there are fewer examples than `batch_size`.
        """
        return stages.steps_per_epoch(self, batch_size)

    def batches(
        self,
        split: str,
        batch_size: int,
        seed: int = 0,
        augmentation: str = "auto",
        image_size: int = 0,
        columns: Sequence[str] = examples.COLUMNS,
        train_steps: int | None = None,
    ) -> tf.data.Dataset:
        """Makes the batches that the train command uses, for `fit` and `evaluate`.

        Batches of train never end and are reshuffled each epoch, so `fit` needs
        `steps_per_epoch`. Batches of other splits have each example once, in order; the last one
        is padded, with 0 in the column `weight`.

        Args:
            split: train, validation or test.
            batch_size: examples in a batch.
            seed: seed of the order and of the augmentation.
            augmentation: one of `augment.AUGMENTATIONS`, or "auto"; see `augment.get`.
            image_size: height and width in pixels; 0 for the images' own size, or 224 if that
                varies.
            columns: columns of a batch. The default is image `[batch, height, width, channels]`,
                float32 in [0, 255], and label, true_label and is_clean, `[batch]`, int64; methods
                that store values per example also need index, `[batch]`, int64, the example's
                position in its split. verified, `[batch]`, int64, is 1 where a person has checked
                or set the label and it is right, 0 where it is wrong, otherwise -1. annotators and
                disagreeing, `[batch]`, int64, are how many people labeled the example and how many
                of them otherwise than `label`; -1 if one did. example_weight, `[batch]`, float32,
                is what the example's loss is multiplied by in training.
            train_steps: number of steps of the training, of which the `start` of examples is a
                share; only needed if the examples file has such a column.

        Returns:
            Batches as dicts from column to tensor.

        Raises:
            InputError: there is no such split, train has fewer examples than `batch_size`, at first
                or at all, or `train_steps` is missing.
        """
        if split not in self:
            choices = ", ".join(self.builder.info.splits)
            raise InputError(f"split={split} is not in {self.path}: choose one of {choices}.")
        how = augment.get(augmentation, self.image_shape)
        shape = augment.shown_shape(self.image_shape, image_size)
        if split == "train":
            return pipeline.train_batches(
                self, batch_size, seed, how, shape, columns=columns, train_steps=train_steps
            )
        return pipeline.eval_batches(self, split, batch_size, how, shape, columns=columns)

    def text(self) -> str:
        """Summarizes the split for the user in a few lines."""
        manifest = self.manifest
        level = "" if manifest["noise_level"] is None else f", level {manifest['noise_level']:g}"
        rate = manifest["realized_noise_rate"]
        wrong = "unknown" if rate is None else f"{rate:.2%} of the training labels"
        counts = ", ".join(f"{count:,} {name}" for name, count in manifest["num_examples"].items())
        corrected = [
            f"  corrected    {entry['relabeled']:,} relabeled, {entry['dropped']:,} dropped, "
            f"{entry['kept']:,} kept"
            for entry in manifest.get("corrections", [])
        ]
        count = manifest.get("num_verified")
        verified = [] if count is None else [f"  verified     {count:,} labels"]
        share = manifest.get("mean_disagreement")
        disagreement = [] if share is None else [f"  disagreement {share:.2%} of people's labels"]
        return "\n".join(
            [
                f"{manifest['dataset']}, noise {manifest['noise']}{level}, seed "
                f"{manifest['noise_seed']}",
                f"  examples     {counts}, {len(self.class_names)} classes",
                f"  wrong labels {wrong}",
                *disagreement,
                *verified,
                *corrected,
                f"  sha256       {manifest['split_sha256']}",
                f"  folder       {self.path}",
            ]
        )


def load(path: epath.PathLike) -> NoisySplits:
    """Opens a prepared split after checking that its files have their original sizes.

    The contents of the files are checked when they are read; see `records`.

    Args:
        path: its folder.

    Returns:
        The prepared split.

    Raises:
        InputError: the folder is not a prepared split, or a file is missing, can't be read or has
            another size.
    """
    data = read(path)
    for name, written in data.manifest["files"].items():
        try:
            found = files.size(data.path / name)
        except OSError as error:
            state = "is missing" if isinstance(error, FileNotFoundError) else "can't be read"
            found = None
        else:
            state = f"has {found} bytes"
        if found != written:
            raise InputError(
                f"{data.path / name} {state}, but was written with {written} bytes: delete "
                f"{data.path} and prepare it again."
            )
    return data


def read(path: epath.PathLike) -> NoisySplits:
    """Opens a prepared split without looking at the files that have its records.

    Args:
        path: its folder.

    Returns:
        The prepared split.

    Raises:
        InputError: the folder is not a prepared split.
    """
    path = epath.Path(path)
    manifest = metadata.read(path)
    try:
        return NoisySplits(path, tfds.builder_from_directory(path), manifest)
    except Exception as error:  # TFDS and Protobuf raise errors of many kinds
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"{path} can't be opened ({reason}): delete the folder and prepare it again."
        ) from error

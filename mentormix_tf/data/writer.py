"""The TFDS builder that writes a noisy split: sharded TFRecords and a manifest of the noise.

A split can be read without this package, with `tfds.builder_from_directory`.
"""

import dataclasses
import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import hashing
from tensorflow_datasets.core.utils import shard_utils

from mentormix_tf import files, version
from mentormix_tf.data import annotators, beam_steps, noise, records
from mentormix_tf.data.beam_pipeline import BeamPipeline, workplace
from mentormix_tf.data.beam_steps import Fragment, SplitFiles
from mentormix_tf.data.manifest_facts import (
    labels_sha256,
    mean_disagreement,
    realized_noise_rate,
)
from mentormix_tf.data.metadata import MANIFEST
from mentormix_tf.data.sources.base import UNKNOWN, SourceSplit

__all__ = [
    "NoisyLabels",
    "NoisyLabelsConfig",
    "SplitPlan",
]

_MOST_FRAGMENTS = 1024


@dataclasses.dataclass(frozen=True)
class SplitPlan:
    """One split to write.

    Attributes:
        source: where the images come from.
        labels: `[n]`, int64, the labels to store: the source's own, or noisy ones.
        kept: `[n]`, bool, which of the source's examples are in this split.
        verified: `[n]`, int64, 1 where a person has checked or set the label and it is right, 0
            where it is wrong, -1 where nobody has; None if nobody has checked any.
    """

    source: SourceSplit
    labels: np.ndarray
    kept: np.ndarray
    verified: np.ndarray | None = None

    def __len__(self) -> int:
        return int(self.kept.sum())

    @property
    def is_clean(self) -> np.ndarray:
        """`[n]`, int64: the source's own values, recomputed where `labels` differ from its labels.

        1 where the label is right, 0 where it is wrong, -1 where unknown.
        """
        changed = self.labels != self.source.labels
        right = self.labels == self.source.true_labels
        # Where a person has set the label, whether that is right may be unknown, too.
        is_set = np.full(len(right), self.source.votes is not None)
        if self.verified is not None:
            is_set |= self.verified == 1
        right = np.where(is_set & (self.source.true_labels == UNKNOWN), UNKNOWN, right)
        return np.where(changed, right, self.source.is_clean)

    @property
    def annotators(self) -> np.ndarray:
        """`[n]`, int64: how many people have labeled each example."""
        return np.array([len(own) for own in self.source.votes or ()], np.int64)

    @property
    def disagreeing(self) -> np.ndarray:
        """`[n]`, int64: how many of them gave another label than the one to store."""
        return annotators.disagreeing(self.source.votes or (), self.labels)


@dataclasses.dataclass
class NoisyLabelsConfig(tfds.core.BuilderConfig):
    """A noisy split by name, with everything that is needed to write it.

    Attributes:
        settings: the settings of the split, for the manifest.
        class_names: the name of each class.
        image_shape: `(height, width, channels)`; None for a side that varies between images.
        image_format: "png" for images that come as arrays, None for encoded images of any format.
        plans: a plan for each split, by name.
        pipeline: writes the split by Apache Beam; None for this process alone.
    """

    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    class_names: list[str] = dataclasses.field(default_factory=list)
    image_shape: tuple[int | None, int | None, int] = (None, None, 3)
    image_format: str | None = None
    plans: dict[str, SplitPlan] = dataclasses.field(default_factory=dict, repr=False)
    pipeline: BeamPipeline | None = dataclasses.field(default=None, repr=False)

    @property
    def has_verified(self) -> bool:
        """Whether a person has checked or corrected labels."""
        return any(plan.verified is not None for plan in self.plans.values())

    @property
    def has_annotators(self) -> bool:
        """Whether several people have labeled the examples."""
        return any(plan.source.votes is not None for plan in self.plans.values())


class NoisyLabels(tfds.core.GeneratorBasedBuilder):
    """Writes the splits of a `NoisyLabelsConfig`.

    An example has id, image (in its original encoding), label (the one to train on), true_label
    (-1 where unknown) and is_clean (1 for right, 0 for wrong, -1 for unknown). In splits with
    verified labels it also has verified (1 if a person has checked or set the label and it is
    right, 0 if it is wrong, -1 if nobody has), and in those of several people's labels annotators
    (how many labeled it) and disagreeing (how many of them gave another label than the one to train
    on).
    """

    VERSION = tfds.core.Version("1.0.0")
    name = "noisy_labels"

    def _info(self):
        config = cast(NoisyLabelsConfig, self.builder_config)
        features = {
            "id": tfds.features.Text(),
            "image": tfds.features.Image(
                shape=config.image_shape, encoding_format=config.image_format
            ),
            "label": tfds.features.ClassLabel(names=config.class_names),
            "true_label": np.int64,
            "is_clean": np.int64,
        }
        if config.has_verified:
            features["verified"] = np.int64
        if config.has_annotators:
            features |= {"annotators": np.int64, "disagreeing": np.int64}
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{config.settings['dataset']} with {config.settings['noise']} labels.",
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        plans = cast(NoisyLabelsConfig, self.builder_config).plans
        return {name: self._generate_examples(plan) for name, plan in plans.items()}

    def _generate_examples(self, plan):
        numbers = _numbers(cast(NoisyLabelsConfig, self.builder_config), plan)
        for i, identifier in enumerate(plan.source.ids):
            if plan.kept[i]:
                of_this = {name: int(values[i]) for name, values in numbers.items()}
                yield identifier, {"id": identifier, "image": plan.source.images[i], **of_this}

    def _generate_splits(self, dl_manager, download_config):
        config = cast(NoisyLabelsConfig, self.builder_config)
        if config.pipeline is None:
            return super()._generate_splits(dl_manager, download_config)
        templates = {name: self._get_filename_template(split_name=name) for name in config.plans}
        with workplace(self.data_path) as work:
            splits = {
                name: SplitFiles(
                    fragments=beam_steps.store(work / name, _fragments(config, name)),
                    num_examples=len(plan),
                    num_shards=shard_utils.ShardConfig().get_number_shards,
                    path=functools.partial(_path, templates[name]),
                )
                for name, plan in config.plans.items()
            }
            config.pipeline.write(splits, cast(Any, self.info.features), work)
            sizes = {name: split.total_size() for name, split in splits.items()}
        return [
            tfds.core.SplitInfo(
                name=name,
                shard_lengths=_lengths(split.num_examples, split.count(sizes[name])),
                num_bytes=sizes[name],
                filename_template=templates[name],
            )
            for name, split in splits.items()
        ]

    def _download_and_prepare(self, *args, **kwargs):
        super()._download_and_prepare(*args, **kwargs)
        # TFDS renames the folder to its final name after this, so every split has a manifest.
        manifest = _manifest(cast(NoisyLabelsConfig, self.builder_config))
        paths = sorted(self.data_path.glob("*.tfrecord*"))
        manifest["files"] = {path.name: files.size(path) for path in paths}
        manifest["fingerprints"] = {path.name: records.fingerprint(path) for path in paths}
        (self.data_path / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def _numbers(config: NoisyLabelsConfig, plan: SplitPlan) -> Mapping[str, np.ndarray]:
    """The features that are numbers, by name: `[n]`, of all examples of the source."""
    numbers = {
        "label": plan.labels,
        "true_label": plan.source.true_labels,
        "is_clean": plan.is_clean,
    }
    if config.has_verified:
        unverified = np.full(len(plan.labels), UNKNOWN)
        numbers["verified"] = unverified if plan.verified is None else plan.verified
    if config.has_annotators:
        numbers |= {"annotators": plan.annotators, "disagreeing": plan.disagreeing}
    return numbers


def _fragments(config: NoisyLabelsConfig, name: str) -> Iterator[Fragment]:
    """Cuts a split so that each of its files will be some fragments, in TFDS's order of records."""
    plan = config.plans[name]
    ids, numbers, positions = plan.source.ids, _numbers(config, plan), np.flatnonzero(plan.kept)
    salted = hashing.Hasher(name)
    hashes = (divmod(salted.hash_key(ids[int(i)]), 2**64) for i in positions)
    high, low = np.fromiter(hashes, (np.uint64, 2), len(positions)).T
    order = positions[np.lexsort((low, high))]
    # TFDS cuts a split into 1, 2, 4, ... or 1024 files, and the cuts of more include those of less.
    count = 2 ** (min(len(order), _MOST_FRAGMENTS).bit_length() - 1)
    for part in np.split(order, np.cumsum(_lengths(len(order), count))[:-1]):
        of_these = {number: values[part] for number, values in numbers.items()}
        yield Fragment([ids[int(i)] for i in part], of_these, plan.source.images.part(part))


def _lengths(num_examples: int, count: int) -> list[int]:
    """How many examples each of `count` files has."""
    ends = shard_utils.get_shard_boundaries(num_examples, count)
    return [int(length) for length in np.diff([0, *ends])]


def _path(template: Any, index: int, count: int) -> str:
    return str(template.sharded_filepath(shard_index=index, num_shards=count))


def _manifest(config: NoisyLabelsConfig) -> dict[str, Any]:
    """Describes a split; labels held out for validation count as training labels."""
    plan, held_out = config.plans["train"], config.plans.get("validation")
    used = plan.kept | held_out.kept if held_out else plan.kept
    labels, ids = plan.labels[used], [plan.source.ids[i] for i in np.flatnonzero(used).tolist()]
    true_labels = plan.source.true_labels[used]
    matrix = noise.transition_matrix(labels, true_labels, len(config.class_names))
    verified = (
        {} if plan.verified is None else {"num_verified": int((plan.verified[used] >= 0).sum())}
    )
    disagreement = {}
    if config.has_annotators:
        share = mean_disagreement(plan.annotators[used], plan.disagreeing[used])
        disagreement = {"mean_disagreement": share}
    return {
        **config.settings,
        **verified,
        **disagreement,
        "num_examples": {name: len(plan) for name, plan in config.plans.items()},
        "realized_noise_rate": realized_noise_rate(plan.is_clean[used]),
        "transition_matrix": matrix.round(6).tolist(),
        "split_sha256": labels_sha256(ids, labels),
        "label_names": config.class_names,
        "mentormix_tf": version.__version__,
    }

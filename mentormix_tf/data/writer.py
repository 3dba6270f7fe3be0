"""The TFDS builder that writes a noisy split: sharded TFRecords, and a manifest of what is wrong.

What it writes needs this package no more: `tfds.builder_from_directory` reads it.
"""

import dataclasses
import hashlib
import json

import numpy as np
import tensorflow_datasets as tfds

from mentormix_tf import version
from mentormix_tf.data import noise

MANIFEST = "manifest.json"


@dataclasses.dataclass(frozen=True)
class SplitPlan:
    """One split to write.

    Attributes:
        source: `SourceSplit` that the images come from.
        labels: `[n]`, int64, the labels to store: the source's own, or noisy ones.
        kept: `[n]`, bool, which of the source's examples are in this split.
    """

    source: object
    labels: np.ndarray
    kept: np.ndarray

    def __len__(self):
        return int(self.kept.sum())

    @property
    def is_clean(self):
        """`[n]`, int64: what the source says, except where a label was changed here."""
        changed = self.labels != self.source.labels
        return np.where(changed, self.labels == self.source.true_labels, self.source.is_clean)


@dataclasses.dataclass
class NoisyLabelsConfig(tfds.core.BuilderConfig):
    """A noisy split by name, with all that is needed to write it.

    Attributes:
        settings: what the split was asked to be, for the manifest.
        class_names: name of each class.
        image_shape: `(height, width, channels)`, with None for sides that differ.
        image_format: "png" for images that come as arrays, None for encoded ones of any format.
        plans: dict from split name to `SplitPlan`.
    """

    settings: dict = dataclasses.field(default_factory=dict)
    class_names: list = dataclasses.field(default_factory=list)
    image_shape: tuple = (None, None, 3)
    image_format: str | None = None
    plans: dict = dataclasses.field(default_factory=dict, repr=False)


class NoisyLabels(tfds.core.GeneratorBasedBuilder):
    """Writes the splits of a `NoisyLabelsConfig`.

    An example has: id, image (encoded as it came), label (what training sees), true_label (-1
    where unknown) and is_clean (1, 0, or -1 where unknown).
    """

    VERSION = tfds.core.Version("1.0.0")
    name = "noisy_labels"

    def _info(self):
        config = self.builder_config
        features = {
            "id": tfds.features.Text(),
            "image": tfds.features.Image(
                shape=config.image_shape, encoding_format=config.image_format
            ),
            "label": tfds.features.ClassLabel(names=config.class_names),
            "true_label": np.int64,
            "is_clean": np.int64,
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{config.settings['dataset']} with {config.settings['noise']} labels.",
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        plans = self.builder_config.plans
        return {name: self._generate_examples(plan) for name, plan in plans.items()}

    def _generate_examples(self, plan):
        is_clean = plan.is_clean
        for i, image in enumerate(plan.source.images()):
            if plan.kept[i]:
                yield (
                    plan.source.ids[i],
                    {
                        "id": plan.source.ids[i],
                        "image": image,
                        "label": int(plan.labels[i]),
                        "true_label": int(plan.source.true_labels[i]),
                        "is_clean": int(is_clean[i]),
                    },
                )

    def _download_and_prepare(self, *args, **kwargs):
        super()._download_and_prepare(*args, **kwargs)
        # TFDS moves the folder to its place after this, so no split is ever there without it.
        manifest = _manifest(self.builder_config)
        files = self.data_path.glob("*.tfrecord*")
        manifest["files"] = {path.name: path.stat().length for path in files}
        (self.data_path / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")


def labels_sha256(ids, labels):
    """SHA-256 over the lines "id label", in the order of the ids.

    Args:
        ids: `[n]` strings.
        labels: `[n]` integers.
    """
    digest = hashlib.sha256()
    for identifier, label in sorted(zip(ids, labels, strict=True)):
        digest.update(f"{identifier} {label}\n".encode())
    return digest.hexdigest()


def realized_noise_rate(is_clean):
    """The fraction of labels known to be wrong among those known; None where none is known."""
    known = np.asarray(is_clean) >= 0
    return float(np.mean(is_clean[known] == 0)) if known.any() else None


def _manifest(config):
    """What is known of a split; labels held out for validation count as training labels."""
    plan, held_out = config.plans["train"], config.plans.get("validation")
    used = plan.kept | held_out.kept if held_out else plan.kept
    labels, ids = plan.labels[used], [plan.source.ids[i] for i in np.flatnonzero(used)]
    true_labels = plan.source.true_labels[used]
    matrix = noise.transition_matrix(labels, true_labels, len(config.class_names))
    return {
        **config.settings,
        "num_examples": {name: len(plan) for name, plan in config.plans.items()},
        "realized_noise_rate": realized_noise_rate(plan.is_clean[used]),
        "transition_matrix": matrix.round(6).tolist(),
        "split_sha256": labels_sha256(ids, labels),
        "mentormix_tf": version.__version__,
    }

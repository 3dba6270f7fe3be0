"""Surveys the training set of a run: what its trained network says of each example."""

import dataclasses
from collections.abc import Sequence

from mentormix_tf.data import augment, pipeline
from mentormix_tf.data.prepared import NoisySplits
from mentormix_tf.inference.features import FeatureLayer
from mentormix_tf.inference.survey import Survey, survey
from mentormix_tf.networks import trained_layers
from mentormix_tf.runs import saved_run
from mentormix_tf.runs.saved_run import SavedRun
from mentormix_tf.training.cached_features import with_features

__all__ = ["of_run"]

_BATCH = 100  # images


def of_run(
    run: SavedRun, data: NoisySplits, layers: Sequence[FeatureLayer] = (), weights: str = "auto"
) -> Survey:
    """Surveys all training examples, also those that the run left out, in the order of the files.

    If the head trained alone, on cached features, these are used again where they are enough.

    Args:
        run: the run.
        data: its split.
        layers: which features to return, see `features.model`.
        weights: see `saved_run.load_network`.

    Raises:
        InputError: the network or the split can't be read, or the network has no such features.
    """
    data = dataclasses.replace(data, features=None)
    network = saved_run.load_network(run, weights, own_softmax=True).network
    if run.has_backbone and set(layers) <= {"penultimate"}:
        return _of_cached_features(run, data, layers, network)
    batches = pipeline.eval_batches(
        data, "train", _BATCH, run.augmentation, run.image_shape, columns=("image", "label")
    )
    images = (batch["image"] for batch in batches)
    return survey(network, images, data.num_examples("train"), layers)


def _of_cached_features(run, data, layers, network):
    backbone, head = trained_layers.cut(network)
    augmentation = augment.get(run.model["augmentation"], data.image_shape)
    data = with_features(data, run.config.training, backbone, augmentation, names=["train"])
    assert data.features is not None
    rows = data.features["train"][:, 0]
    batches = (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))
    found = survey(head, batches, len(rows))
    return dataclasses.replace(found, features=[rows for _ in layers])

"""What can be audited: a run of the train command, or any Keras model with its training set."""

import dataclasses
import os
import re
from collections.abc import Sequence
from typing import Literal, get_args

import keras
import numpy as np

from mentormix_tf.auditing import gallery, judgment
from mentormix_tf.auditing.result import Audit
from mentormix_tf.data import examples as stored_examples
from mentormix_tf.data import splits
from mentormix_tf.data.manifest_facts import labels_sha256
from mentormix_tf.data.prepared import NoisySplits
from mentormix_tf.errors import InputError
from mentormix_tf.inference import features as feature_models
from mentormix_tf.inference.survey import survey
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.runs import examples, layout, saved_run
from mentormix_tf.runs.saved_run import SavedRun
from mentormix_tf.training import surveys

__all__ = ["Features", "audit", "of_run", "split_of"]

Features = Literal["auto", "none", "penultimate", "convolution"]
_BATCH = 100  # images
_MEMORIZED = 0.98  # share of labels that are predicted late, above which none shows as wrong


def audit(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    features: Features = "auto",
) -> Audit:
    """Audits the labels that a Keras model was trained on.

        model = mm.MentorMix(network, num_classes=10, gamma_p="auto", audit_examples=len(images))
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
        model.fit({"image": images, "label": labels, "index": np.arange(len(images))}, epochs=30)
        report = mm.audit(model, images, labels)
        report.save("audit")

    A model of this package that was trained with `audit_examples` has recorded what it needs. Any
    other model is surveyed: one pass over the images, in inference mode. A model that has memorized
    its labels, as plain training does, no longer shows which are wrong, except in its feature maps.

    Args:
        model: a model of this package, or any Keras model that returns logits or probabilities
            `[batch, num_classes]`.
        images: `[n, height, width, channels]`, or whatever the model takes.
        labels: `[n]`, integers in [0, num_classes), or one-hot `[n, num_classes]`.
        class_names: the name of each class; by default, its number.
        ids: a name for each example; by default, its position.
        features: features of the network to judge by, see `features.model`, or none. auto is none
            if training recorded statistics, else convolution if the network has feature maps.

    Raises:
        InputError: the arguments don't fit together, or the network has no such features.
    """
    labels = np.asarray(labels)
    labels = labels.argmax(axis=1) if labels.ndim == 2 and labels.shape[1] > 1 else labels.ravel()
    if len(images) != len(labels) or not len(labels):
        raise InputError(
            f"There are {len(images)} images and {len(labels)} labels: give one label for each "
            "image, at least one."
        )
    statistics = _statistics_of(model, len(labels))
    network = model.network if isinstance(model, NoisyLabelModel) else model
    layer = _layer(features, network, statistics is not None)
    found = None
    if statistics is None or layer is not None:
        batches = (images[start : start + _BATCH] for start in range(0, len(images), _BATCH))
        found = survey(network, batches, len(images), [layer] if layer else ())
    num_classes = found.probabilities.shape[1] if found is not None else model.num_classes
    _check_labels(labels, num_classes)
    names = [str(i) for i in range(num_classes)] if class_names is None else list(class_names)
    ids = [str(i) for i in range(len(labels))] if ids is None else [str(each) for each in ids]
    _check_names(names, num_classes, ids, len(labels))
    given = labels.astype(np.int64)
    return judgment.judge(
        names,
        ids,
        given,
        labels_sha256(ids, given),
        statistics,
        found,
        notes=_notes(statistics),
        images=gallery.of_arrays(images),
        subject={"model": model.name},
    )


def of_run(run: SavedRun, features: Features = "auto", weights: str = "auto") -> Audit:
    """Audits the training labels of a run.

    Args:
        run: the run, finished or not.
        features: see `audit`. A run whose head was trained alone, on cached features, is judged by
            them, too, unless none is asked for.
        weights: which weights a survey uses, see `saved_run.load_network`.

    Raises:
        InputError: the run's split is not there or has changed, or the network can't be read.
    """
    data = split_of(run)
    count, path = data.num_examples("train"), run.path / layout.EXAMPLES
    statistics = None
    if path.exists():
        sha256, num_classes = data.manifest["split_sha256"], len(data.class_names)
        statistics = examples.read(path, sha256, count, num_classes)
    more = stored_examples.OF_ANNOTATORS if "mean_disagreement" in data.manifest else ()
    stored = stored_examples.columns(data, "train", ["id", "label", *more])
    ids, given = [each.decode() for each in stored["id"]], stored["label"].astype(np.int64)
    found = None
    if run.has_backbone and features in ("auto", "penultimate"):
        found = surveys.of_run(run, data, ["penultimate"], weights)
    elif statistics is None or features not in ("auto", "none"):
        network = saved_run.load_network(run, weights, own_softmax=True).network
        layer = _layer(features, network, statistics is not None)
        found = surveys.of_run(run, data, [layer] if layer else (), weights)
    report = judgment.judge(
        data.class_names,
        ids,
        given,
        data.manifest["split_sha256"],
        statistics,
        found,
        _files(data, ids),
        _notes(statistics, is_running=run.config.training.audit and not run.result),
        images=gallery.of_split(data),
        subject={"dataset": data.manifest["dataset"], "model_dir": str(run.path)},
        folder=run.path / layout.AUDIT,
    )
    people = {name: stored[name] for name in more}
    return dataclasses.replace(report, columns={**report.columns, **people})


def split_of(run: SavedRun) -> NoisySplits:
    """Opens the split that a run was trained on, preparing it if it is missing.

    Raises:
        InputError: it can't be prepared, or has other labels now.
    """
    data = splits.prepare(run.config.data)
    trained_on = run.model["split_sha256"]
    if data.manifest["split_sha256"] != trained_on:
        raise InputError(
            f"{data.path} has other labels than the run in {run.path} was trained on "
            f"({data.manifest['split_sha256'][:8]} instead of {trained_on[:8]}): restore the split."
        )
    return data


def _files(data, ids):
    """The path of each image in the user's own folder; "" for data sets of other kinds."""
    family, _, argument = data.manifest["dataset"].partition(":")
    if family not in ("folder", "csv"):
        return [""] * len(ids)
    root = argument if family == "folder" else os.path.dirname(argument)
    # A file that is listed twice has #2 after its path.
    return [os.path.join(root, re.sub(r"#\d+$", "", each)) for each in ids]


def _statistics_of(model, count):
    """What a model of this package has recorded of its training set; None if it has not."""
    if not isinstance(model, NoisyLabelModel) or not model.audit_examples:
        return None
    if model.audit_examples != count:
        raise InputError(
            f"The model was trained with audit_examples={model.audit_examples}, but there are "
            f"{count} examples: give the whole training set."
        )
    statistics = model.statistics.read()
    return statistics if statistics["count"].any() else None


def _layer(features, network, has_statistics):
    """Which features to survey; None for none."""
    if features not in get_args(Features):
        raise InputError(
            f"features={features} is unknown: choose one of {', '.join(get_args(Features))}."
        )
    if features == "none" or (features == "auto" and has_statistics):
        return None
    if features != "auto":
        return features
    return "convolution" if feature_models.has(network, "convolution") else None


def _notes(statistics, is_running=False):
    """What the user should know of the evidence."""
    if statistics is None:
        missing = (
            "The run is not finished, and writes the statistics of training at its end"
            if is_running
            else "The statistics of training are missing (train with --audit, or audit_examples)"
        )
        return [
            f"{missing}, so labels are judged by the trained network alone, which may have "
            "memorized them."
        ]
    notes, (early, late) = [], statistics["count"].T > 0
    for some, what in (
        (~early & ~late, "were never trained on, and have no training_score"),
        (~early & late, "were not seen in the first half of training, and are judged by the rest"),
    ):
        if some.any():
            notes.append(f"{some.sum():,} examples {what}: train for more steps.")
    agreement = np.nanmean(statistics["agreement"][:, 1]) if late.any() else 0
    if "v" not in statistics and agreement > _MEMORIZED:
        notes.append(
            f"Training has memorized {agreement:.1%} of its labels, and so any wrong ones, of "
            "which too few are counted: their order is still good, but --method=mentormix "
            "--gamma_p=auto also counts them."
        )
    return notes


def _check_labels(labels, num_classes):
    bad = np.flatnonzero((labels < 0) | (labels >= num_classes) | (labels != np.floor(labels)))
    if len(bad):
        raise InputError(
            f"labels[{bad[0]}]={labels[bad[0]]} is no class: labels are integers from 0 to "
            f"{num_classes - 1}."
        )


def _check_names(names, num_classes, ids, count):
    if len(names) != num_classes or len(set(names)) != num_classes:
        raise InputError(f"class_names has {len(names)} names: give {num_classes} different ones.")
    if len(ids) != count or len(set(ids)) != count:
        raise InputError(f"ids has {len(set(ids))} different names: give one for each example.")

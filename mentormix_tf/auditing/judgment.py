"""Puts together what is known of the labels of a training set."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mentormix_tf.auditing import noise_rate, scores
from mentormix_tf.auditing.result import Audit
from mentormix_tf.inference import robust_gaussian
from mentormix_tf.inference.survey import Survey

__all__ = ["judge"]

_HALVES = ("early", "late")


def judge(
    class_names: Sequence[str],
    ids: Sequence[str],
    given: np.ndarray,
    split_sha256: str,
    statistics: Mapping[str, np.ndarray] | None = None,
    survey: Survey | None = None,
    files: Sequence[str] | None = None,
    notes: Sequence[str] = (),
    **more: Any,
) -> Audit:
    """Judges labels by what training recorded, by a survey, or by both.

    Args:
        class_names: the name of each class.
        ids: the examples' names in the data set.
        given: `[n]`, int64, the given labels.
        split_sha256: that of the split.
        statistics: from `ExampleStatistics.read`.
        survey: what the trained network says of the examples, with features of one layer or none.
        files: path of each image; "" where it has none.
        notes: what the user should know.
        **more: other fields of `Audit`.
    """
    num_classes = len(class_names)
    found, belief = _evidence(given, num_classes, statistics, survey)
    if belief is not None:
        # Of an example that was never seen, nothing speaks against its label.
        predicted = np.where(belief.any(axis=1), belief.argmax(axis=1), given)
        believed = noise_rate.confident_classes(given, belief)
    else:  # too many classes to know more of each example than its label's rival
        assert statistics is not None
        agrees = _early(statistics["agreement"]) >= 0.5
        predicted = believed = np.where(agrees, given, statistics["rival"])
    rate = noise_rate.estimate(given, believed, num_classes)
    known = found.get("training_score"), found.get("self_confidence"), found.get("feature_score")
    quality = scores.combined(*known)
    suspects = np.flatnonzero(predicted != given)
    suspects = suspects[np.argsort(quality[suspects], kind="stable")]
    is_issue = np.zeros(len(given), bool)
    is_issue[suspects[: round(rate.rate * len(given))]] = True
    return Audit(
        class_names=class_names,
        ids=np.array(ids, object),
        files=np.array([""] * len(given) if files is None else files, object),
        given=given,
        predicted=predicted,
        label_quality=quality,
        is_label_issue=is_issue,
        columns={**found, **({} if statistics is None else _columns(statistics))},
        noise_rate=rate,
        split_sha256=split_sha256,
        notes=notes,
        features=None if survey is None else next(iter(survey.features), None),
        **more,
    )


def _evidence(given, num_classes, statistics, survey):
    """Scores by name, and the probability of each class, or None if there are too many classes."""
    found, belief = {}, None
    if statistics is not None:
        found["training_score"] = scores.of_training(statistics, given)
        if "probabilities" in statistics:
            belief = _early(statistics["probabilities"])
    if survey is not None:
        found["self_confidence"] = scores.of_predictions(survey.probabilities, given)
        if belief is None:
            belief = survey.probabilities
        else:  # the trained network may have memorized the labels that it was trained on
            belief = np.where(belief.any(axis=1, keepdims=True), belief, survey.probabilities)
        for features in survey.features:
            gaussian = robust_gaussian.fit(features, given, num_classes)
            distances = gaussian.squared_distances(features)
            found["feature_score"] = scores.of_features(distances, given)
            shares = scores.class_shares(distances, given)
            belief = (belief + shares) / 2.0
    return found, belief


def _early(halves):
    """Values of the first half of training, or of the second where there are none; else 0.

    Later, the network has learned more of the wrong labels.
    """
    early, late = np.moveaxis(np.nan_to_num(halves), 1, 0)
    is_known = ~np.isnan(halves[:, 0])
    return np.where(is_known, early, late)


def _columns(statistics):
    """The columns of audit.csv that training recorded, by name."""
    columns = {}
    for name in ("margin", "log_probability", "v", "agreement", "count"):
        if name in statistics:
            for half, values in zip(_HALVES, statistics[name].T, strict=True):
                columns[f"{half}_{name}"] = values
    columns["forgetting_events"] = statistics["forgetting_events"]
    return columns

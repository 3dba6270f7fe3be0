"""Puts together what is known of the labels of a training set."""

from collections.abc import Mapping, Sequence

import numpy as np

from mentormix_tf.auditing import noise_rate, robust_gaussian, scores
from mentormix_tf.auditing.result import Audit
from mentormix_tf.auditing.survey import Survey

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
) -> Audit:
    """Judges labels by what training recorded, by a survey, or by both.

    Args:
        class_names: the name of each class.
        ids: the examples' names in the data set.
        given: `[n]`, int64, the given labels.
        split_sha256: that of the split.
        statistics: from `ExampleStatistics.read`.
        survey: what the trained network says of the examples.
        files: path of each image; "" where it has none.
        notes: what the user should know.
    """
    found, beliefs = {}, []
    if statistics is not None:
        found["training_score"] = scores.of_training(statistics)
        beliefs.append(_belief(statistics, given, len(class_names)))
    if survey is not None:
        found["self_confidence"] = scores.of_predictions(survey.probabilities, given)
        beliefs.append(survey.probabilities)
        if survey.features is not None:
            gaussian = robust_gaussian.fit(survey.features, given, len(class_names))
            distances = gaussian.squared_distances(survey.features)
            found["feature_score"] = scores.of_features(distances, given)
            beliefs.append(scores.class_shares(distances, given))
    belief = sum(np.asarray(each, np.float64) for each in beliefs) / len(beliefs)
    predicted = belief.argmax(axis=1)
    quality = scores.combined(list(found.values()))
    rate = noise_rate.estimate(given, belief)
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
    )


def _belief(statistics, given, num_classes):
    """The mean probability of each class in the first half of training, `[n, num_classes]`.

    Later the network has learned more of the wrong labels.
    """
    if "probabilities" in statistics:
        return _early(statistics["probabilities"])
    # Else the label and its rival share what there is, by how often the label was predicted.
    agreement = _early(statistics["agreement"])
    belief, rows = np.zeros([len(given), num_classes]), np.arange(len(given))
    belief[rows, statistics["rival"]] = 1.0 - agreement
    belief[rows, given] = agreement
    return belief


def _early(halves):
    """Values of the first half of training, or of the second where there are none; else 0."""
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

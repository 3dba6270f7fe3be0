"""The cards of audit.html: images, statistics, and similar examples with trusted labels."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from mentormix_tf.auditing.findings import Findings
from mentormix_tf.data import decoding
from mentormix_tf.data import examples as stored_examples
from mentormix_tf.data.prepared import NoisySplits
from mentormix_tf.reports.audit_page import AuditPage, Card
from mentormix_tf.reports.thumbnails import thumbnail

__all__ = ["of_arrays", "of_split", "page"]

_NEIGHBORS = 4
_MOST_TRUSTED = 2000  # examples of a class among which similar ones are sought
_NEIGHBOR_SIDE = 64  # pixels
# Statistics that cards show, by their column in audit.csv.
_WHY = {
    "training_score": "score of training",
    "self_confidence": "probability of the label",
    "feature_score": "score of features",
    "early_margin": "margin, first half of training",
    "late_margin": "margin, rest of training",
    "early_v": "mentor's weight, first half",
    "early_agreement": "label was predicted, first half",
    "forgetting_events": "forgetting events",
}


def page(audit: Findings, top: int, title: str, subtitle: str) -> AuditPage:
    """Makes the page of an audit.

    Args:
        audit: what was found.
        top: number of examples to show, the most suspicious.
        title: the page's title.
        subtitle: what was audited, in a line.
    """
    shown = audit.order()[:top].tolist()
    near = _similar(audit, shown)
    wanted = {*shown, *(i for pair in near.values() for some in pair for i in some)}
    images = {} if audit.images is None else dict(audit.images(sorted(wanted)))
    small = {
        i: thumbnail(images[i], _NEIGHBOR_SIDE)
        for i in {i for pair in near.values() for some in pair for i in some}
        if i in images
    }
    why = {text: audit.columns[name] for name, text in _WHY.items() if name in audit.columns}
    cards = []
    for i in shown:
        like_given, like_suggested = near.get(i, ((), ()))
        cards.append(
            Card(
                id=str(audit.ids[i]),
                file=str(audit.files[i]),
                given=int(audit.given[i]),
                suggested=int(audit.predicted[i]),
                quality=float(audit.label_quality[i]),
                is_issue=bool(audit.is_label_issue[i]),
                image=thumbnail(images[i]) if i in images else None,
                why={text: float(values[i]) for text, values in why.items()},
                like_given=[small[j] for j in like_given if j in small],
                like_suggested=[small[j] for j in like_suggested if j in small],
            )
        )
    return AuditPage(
        title=title,
        subtitle=subtitle,
        notes=audit.notes,
        split_sha256=audit.split_sha256,
        class_names=audit.class_names,
        noise_rate=audit.noise_rate.rate,
        interval=audit.noise_rate.interval,
        confusions=audit.confusions(),
        qualities=audit.label_quality,
        flagged=audit.is_label_issue,
        cards=cards,
    )


def of_arrays(images: Any) -> Any:
    """A function from positions to images, for images in memory.

    Args:
        images: `[n, height, width, channels]`, of any dtype; other shapes have no pictures.
    """
    if np.ndim(images) != 4 or np.shape(images)[-1] not in (1, 3, 4):
        return None

    def at(positions: Iterable[int]) -> Iterable[tuple[int, np.ndarray]]:
        for i in positions:
            yield i, _as_uint8(np.asarray(images[i]))

    return at


def of_split(data: NoisySplits) -> Any:
    """A function from positions to images, for the training examples of a split."""

    def at(positions: Iterable[int]) -> Iterable[tuple[int, np.ndarray]]:
        wanted, channels = set(positions), data.image_shape[-1]
        stored = stored_examples.stored(data, "train").map(lambda example: example["image"])
        stored = stored.take(max(wanted, default=-1) + 1).as_numpy_iterator()
        for i, encoded in enumerate(tqdm(stored, "Reading images", disable=None)):
            if i in wanted:
                image, orientation = decoding.stored(tf.constant(encoded), channels)
                yield i, decoding.turn(image, orientation).numpy()

    return at


def _as_uint8(image):
    """Pixels in [0, 255] from those on another scale: [0, 1], or else what the image spans."""
    if image.dtype == np.uint8:
        return image
    low, high = float(image.min()), float(image.max())
    if low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    elif low >= 0.0 and high <= 255.0:
        low, high = 0.0, 255.0
    return np.round(255.0 * (image - low) / max(high - low, 1e-12)).astype(np.uint8)


def _similar(audit: Findings, shown: list[int]) -> Mapping[int, tuple[list[int], list[int]]]:
    """For each example, the nearest trusted ones of its given and of its suggested class."""
    features: Any = audit.features
    if features is None:
        return {}
    trusted = {}
    for label in range(len(audit.class_names)):
        of_class = (audit.given == label) & (audit.predicted == label)
        members = np.flatnonzero(of_class & ~audit.is_label_issue)
        best = np.argsort(-audit.label_quality[members], kind="stable")[:_MOST_TRUSTED]
        trusted[label] = members[best]

    def nearest(i, label):
        others = trusted[label][trusted[label] != i]
        distances = np.square(features[others] - features[i]).sum(axis=1)
        return others[np.argsort(distances, kind="stable")[:_NEIGHBORS]].tolist()

    return {
        i: (nearest(i, int(audit.given[i])), nearest(i, int(audit.predicted[i]))) for i in shown
    }

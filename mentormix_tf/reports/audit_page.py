"""audit.html: one page, with all that it needs inside, on which a person checks suspicious labels.

Names of classes and files come from elsewhere; see `html_page.py`.
"""

import base64
import dataclasses
import html
import re
from collections.abc import Mapping, Sequence

import numpy as np

from mentormix_tf.reports import html_page

__all__ = ["AuditPage", "Card", "render"]

_BINS = 40
# How image files begin that browsers show.
_FORMATS = {
    rb"\x89PNG\r\n\x1a\n": "png",
    rb"\xff\xd8\xff": "jpeg",
    rb"RIFF.{4}WEBP": "webp",  # RIFF alone may also be sound or video
}


@dataclasses.dataclass(frozen=True)
class Card:
    """An example in the gallery. Classes are integers from 0.

    Attributes:
        id: its name in the data set.
        file: its file; "" if it has none.
        given: the given label.
        suggested: the class that the network sees.
        quality: the label quality, in [0, 1].
        is_issue: whether the label is flagged.
        image: a thumbnail as a PNG, JPEG or WebP file; None if there is none.
        why: statistics by name; NaN for those that are unknown. All cards have the same names.
        like_given: thumbnails of similar trusted examples of the given class.
        like_suggested: thumbnails of similar trusted examples of the suggested class.
    """

    id: str
    file: str
    given: int
    suggested: int
    quality: float
    is_issue: bool
    image: bytes | None
    why: Mapping[str, float]
    like_given: Sequence[bytes] = ()
    like_suggested: Sequence[bytes] = ()


@dataclasses.dataclass(frozen=True)
class AuditPage:
    """What the page shows.

    Attributes:
        title: its title.
        subtitle: what was audited, in a line.
        notes: what the reader should know, one sentence each.
        split_sha256: that of the split, which corrections.csv names.
        class_names: the name of each class.
        noise_rate: the estimated share of wrong labels, in [0, 1].
        interval: its 95 % interval.
        confusions: `[num_classes, num_classes]`, counts of flagged labels: given, suggested.
        qualities: `[n]`, label quality of all examples, in [0, 1].
        flagged: `[n]`, bool.
        cards: the examples to show, the most suspicious first.
    """

    title: str
    subtitle: str
    notes: Sequence[str]
    split_sha256: str
    class_names: Sequence[str]
    noise_rate: float
    interval: tuple[float, float]
    confusions: np.ndarray
    qualities: np.ndarray
    flagged: np.ndarray
    cards: Sequence[Card]


def render(page: AuditPage) -> str:
    """Returns the page as HTML.

    Raises:
        ValueError: an image is no PNG, JPEG or WebP file.
    """
    notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in page.notes)
    return html_page.fill(
        "audit_page",
        _data(page),
        page.title,
        page.subtitle,
        notes=notes,
        tiles=_tiles(page),
        histogram=_histogram(page),
    )


def _tiles(page):
    """The headline: how many labels there are, and how many of them are wrong."""
    count, (low, high) = len(page.qualities), page.interval
    pairs = _pairs(page.confusions)
    names = page.class_names
    confused = "none"
    if pairs:
        given, suggested, number = pairs[0]
        confused = f"<bdi>{html.escape(names[given])}</bdi> → <bdi>{html.escape(names[suggested])}"
        confused += f"</bdi><small>{number:,} labels</small>"
    tiles = {
        "Labels": f"{count:,}<small>{len(names):,} classes</small>",
        "Estimated wrong": f"{page.noise_rate:.1%}<small>about {page.noise_rate * count:,.0f} "
        f"labels; 95 % interval {low:.1%} to {high:.1%}</small>",
        "Flagged": f"{int(page.flagged.sum()):,}<small>the gallery shows {len(page.cards):,} of "
        "the lowest quality</small>",
        "Most confused": confused,
    }
    return "".join(f"<div><dt>{name}</dt><dd>{text}</dd></div>" for name, text in tiles.items())


def _histogram(page):
    """The distribution of the label quality, as SVG."""
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    everything = np.histogram(page.qualities, edges)[0]
    flagged = np.histogram(page.qualities[page.flagged], edges)[0]
    most, width, height = max(1, everything.max()), 600, 170
    bars = []
    for kind, counts in (("all", everything), ("issue", flagged)):
        for i, count in enumerate(counts):
            tall = height * count / most
            low, high = edges[i], edges[i + 1]
            bars.append(
                f'<rect class="{kind}" x="{i * width / _BINS + 1:.1f}" y="{height - tall:.1f}" '
                f'width="{width / _BINS - 2:.1f}" height="{tall:.1f}"><title>{low:.3f} to '
                f"{high:.3f}: {everything[i]:,} labels, {flagged[i]:,} flagged</title></rect>"
            )
    marks = [(0, "start", "0"), (0.5, "middle", "0.5"), (1, "end", "1")]
    labels = "".join(
        f'<text x="{place * width}" y="{height + 16}" text-anchor="{anchor}">{text}</text>'
        for place, anchor, text in marks
    )
    return (
        f'<svg viewBox="0 0 {width} {height + 22}" role="img" aria-label="Histogram of label '
        f'quality: {int(page.flagged.sum()):,} of {len(page.qualities):,} labels are flagged">'
        f'{"".join(bars)}<line x1="0" y1="{height}" x2="{width}" y2="{height}"/>{labels}</svg>'
    )


def _data(page):
    """What the script reads. Thumbnails that several cards show are there once."""
    images: dict[bytes, int] = {}

    def number(image):
        return images.setdefault(image, len(images))

    cards = [
        {
            "id": card.id,
            "file": card.file,
            "given": int(card.given),
            "suggested": int(card.suggested),
            "quality": round(float(card.quality), 4),
            "is_issue": bool(card.is_issue),
            "image": None if card.image is None else number(card.image),
            "why": [float(f"{v:.4g}") if np.isfinite(v) else None for v in card.why.values()],
            "like_given": [number(image) for image in card.like_given],
            "like_suggested": [number(image) for image in card.like_suggested],
        }
        for card in page.cards
    ]
    return {
        "split_sha256": page.split_sha256,
        "class_names": list(page.class_names),
        "confusions": _pairs(page.confusions),
        "why": list(page.cards[0].why) if page.cards else [],
        "cards": cards,
        "images": [_data_uri(image) for image in images],
    }


def _pairs(confusions):
    """(given, suggested, count) of the confused classes, the most frequent first."""
    given, suggested = np.nonzero(confusions)
    counts = confusions[given, suggested]
    order = np.argsort(-counts, kind="stable")
    return [[int(given[i]), int(suggested[i]), int(counts[i])] for i in order]


def _data_uri(image):
    kind = next((kind for start, kind in _FORMATS.items() if re.match(start, image, re.S)), None)
    if kind is None:
        raise ValueError("a thumbnail is no PNG, JPEG or WebP file")
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"

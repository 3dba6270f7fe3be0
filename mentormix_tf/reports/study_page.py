"""report.html: a study's results on one page, with figures that answer to the pointer."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from mentormix_tf.reports import html_page

__all__ = ["Method", "StudyPage", "render"]


@dataclasses.dataclass(frozen=True)
class Method:
    """How a method is drawn.

    Attributes:
        name: its name in the rows.
        title: its name for people.
        color: a color, as CSS knows it.
        marker: one of Matplotlib's markers o, s, D, ^, v, <, >, P and d.
    """

    name: str
    title: str
    color: str
    marker: str


@dataclasses.dataclass(frozen=True)
class StudyPage:
    """What the page shows.

    Attributes:
        title: its title.
        subtitle: what was trained, in a line.
        methods: the methods, in the order of the legend.
        runs: a row for each run: kind, level (in [0, 1], or None), method, seed, peak and final (in
            [0, 1]) and settings, its hyperparameters by name.
        curves: a row for each run: kind, level, method and points, `[evaluations, 2]`, steps and
            accuracies.
        published: rows with kind, method and points, `[levels, 2]`, levels and accuracies.
    """

    title: str
    subtitle: str
    methods: Sequence[Method]
    runs: Sequence[Mapping[str, Any]]
    curves: Sequence[Mapping[str, Any]]
    published: Sequence[Mapping[str, Any]] = ()


def render(page: StudyPage) -> str:
    """Returns the page as HTML."""
    data = {
        "methods": [dataclasses.asdict(each) for each in page.methods],
        "runs": list(page.runs),
        "curves": list(page.curves),
        "published": list(page.published),
    }
    return html_page.fill("study_page", data, page.title, page.subtitle)

"""Makes report.html of a study's results, beside report.md."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mentormix_tf.reports.study_page import Method, StudyPage
from mentormix_tf.studies import figures, published

__all__ = ["make"]


def make(
    title: str,
    about: str,
    runs: Sequence[Mapping[str, Any]],
    curves: Sequence[Mapping[str, Any]],
    paper: bool,
) -> StudyPage:
    """Makes the page.

    Args:
        title: the study's title.
        about: what was trained, in a line.
        runs: rows of runs.csv, in the order in which to show them.
        curves: rows of curves.csv.
        paper: whether to show published numbers, too.
    """
    names = list(dict.fromkeys(run["method"] for run in runs))
    lines: dict[tuple, list] = {}
    for row in curves:
        key = tuple(row[name] for name in ("kind", "level", "method", "seed"))
        lines.setdefault(key, []).append([row["step"], row["test_accuracy"]])
    kept = ("kind", "level", "method", "seed", "peak", "final")
    return StudyPage(
        title,
        about,
        [_method(name) for name in names],
        [
            {name: run[name] for name in kept} | {"settings": json.loads(run["settings"])}
            for run in runs
        ],
        [
            {"kind": kind, "level": level, "method": method, "points": points}
            for (kind, level, method, _), points in lines.items()
        ],
        _published(runs, names) if paper else [],
    )


def _method(name):
    style = figures.method_style(name)
    return Method(name, style["label"], style["color"], style["marker"])


def _published(runs, names):
    return [
        {"kind": kind, "method": method, "points": [list(pair) for pair in values.items()]}
        for kind in dict.fromkeys(run["kind"] for run in runs)
        for (method, _), values in published.table_3(kind).items()
        if method in names
    ]

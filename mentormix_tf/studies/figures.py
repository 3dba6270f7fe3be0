"""Draws a study's figures like the paper's, from `summaries`, and encodes them as PNG or SVG."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from mentormix_tf import methods
from mentormix_tf.studies import published

__all__ = [
    "COLORS",
    "MARKERS",
    "NEAR_CHANCE",
    "accuracy_by_kind",
    "accuracy_by_level",
    "accuracy_over_training",
    "drop_from_peak",
    "encode",
    "method_style",
]

# Okabe and Ito's colors, which color-blind readers can tell apart; MentorMix is black.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999933", "#882255")
MARKERS = "osD^v<>Pd*"
NEAR_CHANCE = 3.0  # times the accuracy of guessing


def accuracy_by_level(
    level_rows: Sequence[Mapping[str, Any]],
    paper: bool = False,
    about: str = "",
    chance: Mapping[str, float] | None = None,
) -> Figure:
    """Peak and final accuracy by noise level: a line per method, a row of panels per kind.

    Args:
        level_rows: the rows of `summaries.by_level`.
        paper: whether to draw published accuracies, too, as broken lines with hollow markers.
        about: the figure's title: what was trained.
        chance: accuracy of guessing, by kind; drawn where a method comes near it.
    """
    kinds, names = _ordered(level_rows, "kind"), _ordered(level_rows, "method")
    figure = Figure(figsize=(10, 0.6 + 3.9 * len(kinds)), layout="constrained")
    axes = figure.subplots(len(kinds), 2, squeeze=False, sharey="row")
    for panels, kind in zip(axes, kinds, strict=True):
        for panel, name in zip(panels, ("peak", "final"), strict=True):
            for method in names:
                found = [r for r in level_rows if (r["kind"], r["method"]) == (kind, method)]
                _line(panel, found, name, **method_style(method))
            if paper and name == "peak":
                _published(panel, kind, names)
            guessed = (chance or {}).get(kind, 0.0)
            if any(r[name] < NEAR_CHANCE * guessed for r in level_rows if r["kind"] == kind):
                panel.axhline(100 * guessed, ls=":", lw=1, color="gray", label="chance")
            panel.set_title(f"{kind}: {name} accuracy", fontsize=10)
            _label(panel, "wrong labels (%)", "accuracy on clean test labels (%)")
    _finish(figure, axes.flat, about)
    return figure


def accuracy_by_kind(level_rows: Sequence[Mapping[str, Any]], about: str = "") -> Figure:
    """Peak and final accuracy by noise level: a panel per method, a color per kind.

    Args:
        level_rows: the rows of `summaries.by_level`.
        about: the figure's title: what was trained.
    """
    figure, panels, kinds = _panel_a_method(level_rows)
    for method, panel in panels.items():
        for kind in kinds:
            found = [r for r in level_rows if (r["kind"], r["method"]) == (kind, method)]
            style = _kind_style(kind, kinds)
            _line(panel, found, "final", label=f"{kind}, final", **style)
            _line(panel, found, "peak", label=f"{kind}, peak", **style | dict(ls=":", mfc="none"))
        _label(panel, "wrong labels (%)", "accuracy on clean test labels (%)")
    _finish(figure, panels.values(), about)
    return figure


def drop_from_peak(level_rows: Sequence[Mapping[str, Any]], about: str = "") -> Figure:
    """Figure 3: the drop from peak to final accuracy by noise level, a panel per method.

    Args:
        level_rows: the rows of `summaries.by_level`.
        about: the figure's title: what was trained.
    """
    figure, panels, kinds = _panel_a_method(level_rows)
    for method, panel in panels.items():
        for kind in kinds:
            found = [r for r in level_rows if (r["kind"], r["method"]) == (kind, method)]
            _line(panel, found, "drop", label=kind, **_kind_style(kind, kinds))
        _label(panel, "wrong labels (%)", "peak - final accuracy (points)")
    _finish(figure, panels.values(), about)
    return figure


def accuracy_over_training(
    lines: Mapping[tuple[str, str], Sequence[tuple[int, float, float]]], about: str = ""
) -> Figure:
    """Figure 2: accuracy over training, a panel per method, with 95 % confidence bands.

    Args:
        lines: the result of `summaries.over_training`.
        about: the figure's title: what was trained.
    """
    rows = [{"kind": kind, "method": method} for kind, method in lines]
    figure, panels, kinds = _panel_a_method(rows)
    for (kind, method), points in lines.items():
        steps, means, widths = map(list, zip(*points, strict=True))
        style = _kind_style(kind, kinds)
        panels[method].plot(steps, [100 * mean for mean in means], label=kind, **style | {"ms": 3})
        band = [
            [
                100 * min(1.0, max(0.0, mean + sign * width))
                for mean, width in zip(means, widths, strict=True)
            ]
            for sign in (-1, 1)
        ]
        panels[method].fill_between(steps, *band, color=style["color"], alpha=0.2, lw=0)
    for panel in panels.values():
        _label(panel, "step", "accuracy on clean test labels (%)")
    _finish(figure, panels.values(), about)
    return figure


def encode(figure: Figure, form: str) -> bytes:
    """A figure as the contents of a file.

    Args:
        figure: the figure.
        form: png or svg.
    """
    file = io.BytesIO()
    # No date and no random names, so that the same results give the same file.
    with matplotlib.rc_context({"svg.hashsalt": "mentormix_tf"}):
        metadata = {"Date": None} if form == "svg" else None
        figure.savefig(file, format=form, dpi=120, metadata=metadata)
    return file.getvalue()


def _panel_a_method(rows):
    kinds, names = _ordered(rows, "kind"), _ordered(rows, "method")
    columns = min(4, len(names))
    height = -(-len(names) // columns)
    figure = Figure(figsize=(3.2 * columns + 0.4, 0.6 + 2.7 * height), layout="constrained")
    axes = figure.subplots(height, columns, squeeze=False, sharex=True, sharey=True).flat
    panels = dict(zip(names, axes, strict=False))
    for empty in list(axes)[len(names) :]:
        empty.set_axis_off()
    for method, panel in panels.items():
        panel.set_title(methods.title(method), fontsize=10)
    return figure, panels, kinds


def _line(panel, rows, name, **style):
    known = [row for row in rows if row["level"] is not None]
    rows = sorted(known, key=lambda row: row["level"])
    levels = [100 * row["level"] for row in rows]
    panel.errorbar(
        levels,
        [100 * row[name] for row in rows],
        [100 * row[f"{name}_sd"] for row in rows],
        capsize=2,
        **style,
    )


def _published(panel, kind, names):
    """The paper's Table 3, dotted; other sources dashed."""
    for (method, source), values in published.table_3(kind).items():
        if method in names:
            broken = dict(ls=":" if "slides" in source else "--", mfc="none")
            panel.plot(
                [100 * level for level in values],
                [100 * value for value in values.values()],
                **method_style(method)
                | broken
                | {"label": f"{methods.title(method)}, published: {source}"},
            )


def method_style(method: str) -> dict[str, Any]:
    """How a method is drawn in all figures, as Matplotlib's arguments.

    Methods whose colors are the same have different markers.
    """
    known = [each for each in methods.METHODS if each != "mentormix"]
    place = known.index(method) if method in known else 0
    style = dict(
        label=methods.title(method),
        color=COLORS[place % len(COLORS)],
        marker=MARKERS[place % len(MARKERS)],
        ms=4,
        lw=1.3,
    )
    return style | (dict(color="black", marker="o", lw=2.2) if method == "mentormix" else {})


def _kind_style(kind, kinds):
    return dict(color=COLORS[kinds.index(kind) % len(COLORS)], marker="o", ms=4, lw=1.5)


def _ordered(rows, name):
    return list(dict.fromkeys(row[name] for row in rows))


def _label(panel, x, y):
    panel.set_xlabel(x, fontsize=9)
    if panel.get_subplotspec().is_first_col():
        panel.set_ylabel(y, fontsize=9)
    panel.grid(alpha=0.25)
    panel.tick_params(labelsize=8)


def _finish(figure, panels, about):
    """Adds the title, and one legend for all panels."""
    if about:
        figure.suptitle(about, fontsize=9, wrap=True, parse_math=False)
    entries = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    columns = max(1, min(4, int(figure.get_figwidth() / 2.5)))
    figure.legend(
        entries.values(), entries.keys(), loc="outside lower center", ncols=columns, fontsize=8
    )

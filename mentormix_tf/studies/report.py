"""Writes a study's report: tables as Markdown and CSV, figures, and the results behind them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from etils import epath

from mentormix_tf import files, markdown, methods
from mentormix_tf.reports import study_page
from mentormix_tf.studies import figures, published, report_page, results, summaries

__all__ = ["PAGE", "REPORT", "published_table_2", "table_2", "table_3", "write"]

REPORT, PAGE = "report.md", "report.html"


def write(
    folder: epath.PathLike,
    runs: Sequence[Mapping[str, Any]],
    curves: Sequence[Mapping[str, Any]],
    title: str,
    command: str,
    planned: int,
    paper: bool = False,
) -> str:
    """Writes the report of a study.

    It consists of report.md, report.html, table_2.csv, table_3.csv and figures as .png and .svg,
    all made from runs.csv and curves.csv, which are written, too.

    Args:
        folder: an existing folder.
        runs: one row or more, see `results.collect`.
        curves: rows, see `results.collect`.
        title: the report's title.
        command: the command line that made it.
        planned: the number of runs in the study.
        paper: whether to show published numbers, too.

    Returns:
        Table 2 as Markdown.
    """
    folder = epath.Path(folder)
    runs, curves = _in_order(runs), _in_order(curves)
    results.write(folder, runs, curves)
    level_rows = summaries.by_level(runs)
    mean_rows = summaries.over_levels(level_rows)
    files.write_csv(folder / "table_2.csv", [_rounded(row) for row in mean_rows])
    files.write_csv(folder / "table_3.csv", [_rounded(row) for row in level_rows])
    about = _about(title, runs)
    over_training = summaries.over_training(curves)
    drawn = {
        "accuracy_by_level": figures.accuracy_by_level(level_rows, paper, about, _chance(runs)),
        "drop_from_peak": figures.drop_from_peak(level_rows, about),
        "accuracy_over_training": figures.accuracy_over_training(over_training, about),
    }
    kinds = list(dict.fromkeys(run["kind"] for run in runs))
    if len(kinds) > 1:
        drawn["accuracy_by_kind"] = figures.accuracy_by_kind(level_rows, about)
    for name, figure in drawn.items():
        for form in ("png", "svg"):
            files.write(folder / f"{name}.{form}", figures.encode(figure, form))
    page = report_page.make(title, _network_and_seeds(runs), runs, curves, paper)
    files.write(folder / PAGE, study_page.render(page))
    main_table = table_2(mean_rows)
    parts = [
        f"# {markdown.escaped(title)}",
        _how(runs, planned),
        f"    {' '.join(command.split())}",
        "## Mean over noise levels (the paper's Table 2)",
        main_table,
        "Mean ± sd over the levels, of the mean over seeds, in %.",
        *(_published([row["method"] for row in mean_rows]) if paper else ()),
        "![accuracy by level](accuracy_by_level.png)",
        "## By noise level (Table 3)",
        *[table_3(level_rows, kind, paper) for kind in kinds],
        "Mean ± sd over seeds, in %.",
        *(["![accuracy by kind](accuracy_by_kind.png)"] if len(kinds) > 1 else ()),
        "## Drop from the peak (Figure 3)",
        "![drop from peak](drop_from_peak.png)",
        "## Over training (Figure 2)",
        "![accuracy over training](accuracy_over_training.png)",
        "Bands are 95 % confidence intervals across noise levels.",
        "## Settings",
        _settings(runs),
        "Made from [runs.csv](runs.csv) and [curves.csv](curves.csv), as is "
        f"[{PAGE}]({PAGE}), whose figures answer to the pointer.",
    ]
    files.write(folder / REPORT, "\n\n".join(parts) + "\n")
    return main_table


def _chance(runs):
    """The accuracy of guessing, by kind; tables of earlier versions don't say how many classes."""
    return {run["kind"]: 1.0 / run["num_classes"] for run in runs if run.get("num_classes")}


def table_2(mean_rows: Sequence[Mapping[str, Any]]) -> str:
    """Table 2 as Markdown: peak and final accuracy in %, mean ± sd over levels, a row per method.

    Args:
        mean_rows: the rows of `summaries.over_levels`.
    """
    kinds = dict.fromkeys(row["kind"] for row in mean_rows)
    cells = {(row["kind"], row["method"]): row for row in mean_rows}
    heads, rows = ["method"], {row["method"]: [row["method"]] for row in mean_rows}
    for kind in kinds:
        most = max(row["levels"] for row in mean_rows if row["kind"] == kind)
        for name in ("peak", "final"):
            heads.append(f"{markdown.escaped(kind)}, {name}")
            for method, row in rows.items():
                cell = cells.get((kind, method))
                row.append(_cell(cell, name))
                if cell and cell["levels"] < most:
                    row[-1] += f" ({cell['levels']} of {most} levels)"
    return _markdown(heads, rows.values())


def published_table_2(names: Iterable[str]) -> str:
    """The paper's Table 2 as Markdown: peak accuracy in %, mean ± sd over ten noise levels.

    Args:
        names: the methods to show.
    """
    found = published.table_2()
    columns = list(dict.fromkeys(data for data, _ in found))
    rows = []
    for method in names:
        pairs = [found.get((data, method)) for data in columns]
        cells = [f"*{100 * pair[0]:.1f} ± {100 * pair[1]:.1f}*" if pair else "" for pair in pairs]
        rows.append([method, *cells])
    return _markdown(["method", *columns], rows)


def table_3(level_rows: Sequence[Mapping[str, Any]], kind: str, paper: bool = False) -> str:
    """Table 3 as Markdown, for one kind of labels: a row per method, a column per noise level.

    Args:
        level_rows: the rows of `summaries.by_level`.
        kind: data set and noise, as in cifar10-symmetric.
        paper: whether to add the published rows.
    """
    found = [row for row in level_rows if row["kind"] == kind]
    levels = sorted({row["level"] for row in found}, key=_sortable)
    cells = {(row["method"], row["level"]): row for row in found}
    seeds = max(row["seeds"] for row in found)
    rows = []
    for name in ("peak", "final", "drop"):
        for method in dict.fromkeys(row["method"] for row in found):
            rows.append(
                [name, method, *[_cell(cells.get((method, at)), name, seeds) for at in levels]]
            )
    for (method, source), values in published.table_3(kind).items() if paper else ():
        numbers = [f"*{100 * values[level]:.1f}*" if level in values else "" for level in levels]
        rows.append([f"*published, {source}*", f"*{method}*", *numbers])
    return _markdown([markdown.escaped(kind), "method", *map(_percent, levels)], rows)


def _published(names):
    return (
        "*Published (ICML 2020 slides): Inception-ResNet-v2 on Mini-ImageNet and Stanford Cars; "
        "peak, in %, mean ± sd over ten levels:*",
        published_table_2(dict.fromkeys(names)),
    )


def _about(title, runs):
    """The title of a study's figures: the data and the noise, the network and the seeds."""
    return f"{title}; {_network_and_seeds(runs)}"


def _network_and_seeds(runs):
    def all_of(name):
        return ", ".join(sorted({str(run[name]) for run in runs}))

    sizes = {run["image_size"] for run in runs} - {0}
    pixels = f" at {all_of('image_size')} pixels" if sizes else ""
    return f"{all_of('network')}{pixels}; seeds {all_of('seed')}"


def _how(runs, planned):
    def all_of(name):
        return ", ".join(sorted({markdown.escaped(run[name]) for run in runs}))

    part = {run["train_examples"] for run in runs} - {None}
    sizes = {run["image_size"] for run in runs} - {0}
    is_averaged = any(run["averaged_peak"] is not None for run in runs)
    facts = [
        f"{len(runs)} of {planned} runs" if len(runs) < planned else f"{planned} runs",
        f"{len({run['method'] for run in runs})} methods",
        f"{len({run['split'] for run in runs})} noisy splits"
        + (f" of {all_of('train_examples')} training examples" if part else ""),
        f"seeds {all_of('seed')}",
        f"network {all_of('network')}" + (f" at {all_of('image_size')} pixels" if sizes else ""),
        f"{all_of('steps')} steps",
        f"{all_of('device')}, TensorFlow {all_of('tensorflow')}, Keras {all_of('keras')}",
    ]
    return (
        f"{'; '.join(facts)}. Accuracies are on clean test labels, by which nothing was chosen: "
        "*peak* is the highest of a run's evaluations, as in the paper, *final* the last."
        + (" They are of the weights as trained, not of averaged ones." if is_averaged else "")
    )


def _settings(runs):
    """A table of the hyperparameters that differ from their defaults, and at which levels."""
    used = [(run, json.loads(run["settings"])) for run in runs]
    changed = {}
    for run, settings in used:
        defaults = methods.resolve(run["method"], {})
        names = [name for name, value in settings.items() if value != defaults.get(name)]
        changed.setdefault(run["method"], set()).update(names)
    rows = {}
    for run, settings in used:
        names = [name for name in settings if name in changed[run["method"]]]
        words = ", ".join(f"{name} {settings[name]}" for name in names)
        levels = rows.setdefault((run["kind"], run["method"], words or "defaults"), {})
        levels[_percent(run["level"])] = None
    body = [
        [*map(markdown.escaped, (kind, method, words)), ", ".join(at)]
        for (kind, method, words), at in rows.items()
    ]
    return _markdown(["labels", "method", "settings", "at noise level"], body)


def _percent(level):
    return "unknown" if level is None else f"{100 * level:.3g} %"


def _sortable(level):
    return float("inf") if level is None else level


def _cell(row, name, seeds=None):
    if row is None:
        return ""
    count = row.get("seeds") or row["levels"]
    deviation = f" ± {100 * row[f'{name}_sd']:.1f}" if count > 1 else ""
    lacking = f" ({count} of {seeds} seeds)" if seeds and count < seeds else ""
    return f"{100 * row[name]:.1f}{deviation}{lacking}"


def _markdown(heads, rows):
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _in_order(rows):
    order = list(methods.METHODS)
    return sorted(
        rows,
        key=lambda row: (
            row["kind"],
            order.index(row["method"]),
            _sortable(row["level"]),
            row["seed"],
            row.get("step", 0),
        ),
    )


def _rounded(row):
    return {k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()}

"""Means and standard deviations over seeds, over noise levels and over training."""

import collections
import math
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from scipy import stats

__all__ = ["by_level", "over_levels", "over_training"]


def by_level(runs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Table 3: the accuracy at each noise level.

    Args:
        runs: the runs of `results.collect`.

    Returns:
        Rows with kind, method, level, peak, peak_sd, final, final_sd, drop (peak - final), drop_sd
        and seeds (their number). sd is the sample standard deviation over the seeds, 0 for one.
    """
    groups = collections.defaultdict(list)
    for run in runs:
        groups[run["kind"], run["method"], run["level"]].append(run)
    rows = []
    for (kind, method, level), found in groups.items():
        row = {"kind": kind, "method": method, "level": level}
        for name, values in (
            ("peak", [run["peak"] for run in found]),
            ("final", [run["final"] for run in found]),
            ("drop", [run["peak"] - run["final"] for run in found]),
        ):
            row[name], row[f"{name}_sd"] = statistics.mean(values), _deviation(values)
        rows.append({**row, "seeds": len(found)})
    return rows


def over_levels(level_rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Table 2: means over the noise levels.

    Args:
        level_rows: the rows of `by_level`.

    Returns:
        Rows with kind, method, peak, peak_sd, final, final_sd and levels (their number). sd is the
        sample standard deviation of the levels' means, 0 for one.
    """
    groups = collections.defaultdict(list)
    for row in level_rows:
        groups[row["kind"], row["method"]].append(row)
    rows = []
    for (kind, method), found in groups.items():
        row = {"kind": kind, "method": method}
        for name in ("peak", "final"):
            values = [each[name] for each in found]
            row[name], row[f"{name}_sd"] = statistics.mean(values), _deviation(values)
        rows.append({**row, "levels": len(found)})
    return rows


def over_training(
    curves: Iterable[Mapping[str, Any]],
) -> dict[tuple[str, str], list[tuple[int, float, float]]]:
    """Figure 2: the accuracy over training, averaged over all noise levels.

    Args:
        curves: the curves of `results.collect`.

    Returns:
        For each (kind, method), a list of (step, mean, half-width of the 95 % confidence interval),
        sorted by step. The value of a level is the mean over its seeds; the interval is Student's
        t, over the levels; 0 for one.
    """
    groups = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in curves:
        at = groups[row["kind"], row["method"], row["step"]]
        at[row["level"]].append(row["test_accuracy"])
    lines = collections.defaultdict(list)
    for (kind, method, step), levels in groups.items():
        means = [statistics.mean(values) for values in levels.values()]
        width = 0.0
        if len(means) > 1:
            error = statistics.stdev(means) / math.sqrt(len(means))
            width = float(stats.t.ppf(0.975, len(means) - 1)) * error
        lines[kind, method].append((step, statistics.mean(means), width))
    return {line: sorted(points) for line, points in lines.items()}


def _deviation(values):
    return statistics.stdev(values) if len(values) > 1 else 0.0

"""Means and deviations over seeds, over noise levels, over training."""

import collections
import math
import statistics

from scipy import stats


def by_level(runs):
    """Table 3: the accuracy at each noise level.

    Args:
        runs: as `results.collect` returns them.

    Returns:
        List of dicts with kind, method, level, peak, peak_sd, final, final_sd, drop, drop_sd (peak
        less final) and seeds; sd over the seeds, 0 for one.
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


def over_levels(level_rows):
    """Table 2: means over the noise levels of what `by_level` returns.

    Returns:
        List of dicts with kind, method, peak, peak_sd, final, final_sd and levels (how many); sd is
        that of the levels' means.
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


def over_training(curves):
    """Figure 2: the accuracy in the course of training, over all noise levels.

    Args:
        curves: as `results.collect` returns them.

    Returns:
        Dict from (kind, method) to a list of (step, mean, half width of the 95 % confidence
        interval), where a level's value is the mean over its seeds. The interval is Student's, over
        the levels.
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

"""The paper's published numbers, from its slides and the released code's README."""

import csv
import pathlib

__all__ = ["FILE", "table_2", "table_3"]

FILE = pathlib.Path(__file__).with_name("published.csv")


def table_2() -> dict[tuple[str, str], tuple[float, float]]:
    """Table 2: maps (data, method) to (mean, sd) of peak accuracy, in [0, 1], over ten levels."""
    return {
        (row["data"], row["method"]): (float(row["accuracy"]), float(row["sd"]))
        for row in _rows("2")
    }


def table_3(kind: str) -> dict[tuple[str, str], dict[float, float]]:
    """Table 3 for one data set: maps (method, source) to accuracies by noise level, all in [0, 1].

    Args:
        kind: data set and noise, as in cifar10-symmetric.
    """
    found = {}
    for row in _rows("3"):
        if row["data"] == kind:
            levels = found.setdefault((row["method"], row["source"]), {})
            levels[float(row["level"])] = float(row["accuracy"])
    return found


def _rows(table):
    with FILE.open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["table"] == table]

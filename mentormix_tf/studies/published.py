"""The numbers that the paper published, from its slides and the released code's README."""

import csv
import pathlib

FILE = pathlib.Path(__file__).with_name("published.csv")


def table_2():
    """Table 2: dict from (data, method) to (mean, sd) of peak accuracy over ten noise levels."""
    return {
        (row["data"], row["method"]): (float(row["accuracy"]), float(row["sd"]))
        for row in _rows("2")
    }


def table_3(kind):
    """Table 3, for one data set: dict from (method, source) to a dict from level to accuracy.

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

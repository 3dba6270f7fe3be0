"""The result of an audit: which labels are probably wrong, and how many."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from mentormix_tf import files
from mentormix_tf.auditing.noise_rate import NoiseRate
from mentormix_tf.runs import layout

__all__ = ["Audit"]

_SHOWN = 10  # examples and pairs of classes in the summary


@dataclasses.dataclass(frozen=True)
class Audit:
    """An audit of the n labels of a training set, in its order. Classes are integers from 0.

    Attributes:
        class_names: the name of each class.
        ids: `[n]`, text, the examples' names in the data set.
        files: `[n]`, text, the path of each image in the user's folder; "" where it has none.
        given: `[n]`, int64, the given labels.
        predicted: `[n]`, int64, the class that the network sees.
        label_quality: `[n]`, float64, in [0, 1], low = suspicious; see `scores`.
        is_label_issue: `[n]`, bool: the estimated number of wrong labels, of the lowest quality.
        columns: more columns of audit.csv by name, `[n]` each: the scores that `label_quality` is
            the mean of, and what training recorded.
        noise_rate: how many labels are wrong, and which classes are confused.
        split_sha256: that of the split, or of ids and labels.
        notes: what the user should know, such as which scores there are, one sentence each.
    """

    class_names: Sequence[str]
    ids: np.ndarray
    files: np.ndarray
    given: np.ndarray
    predicted: np.ndarray
    label_quality: np.ndarray
    is_label_issue: np.ndarray
    columns: Mapping[str, np.ndarray]
    noise_rate: NoiseRate
    split_sha256: str
    notes: Sequence[str] = ()

    def order(self) -> np.ndarray:
        """The positions of all examples, `[n]`, int64, the most suspicious first."""
        return np.argsort(self.label_quality, kind="stable")

    def confusions(self) -> np.ndarray:
        """Counts the flagged labels: `[given class, predicted class]`, int64."""
        counts = np.zeros([len(self.class_names)] * 2, np.int64)
        flagged = self.is_label_issue & (self.given != self.predicted)
        np.add.at(counts, (self.given[flagged], self.predicted[flagged]), 1)
        return counts

    def rows(self) -> list[dict[str, Any]]:
        """The rows of audit.csv, in the order of the training set."""
        names = np.array(self.class_names, object)
        columns = {
            "id": self.ids,
            "file": self.files,
            "given_label": names[self.given],
            "predicted_label": names[self.predicted],
            "label_quality": _short(self.label_quality),
            "is_label_issue": self.is_label_issue,
            **{name: _short(values) for name, values in self.columns.items()},
        }
        lists = [values.tolist() for values in columns.values()]
        return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]

    def save_csv(self, folder: epath.PathLike) -> epath.Path:
        """Writes audit.csv, a row for each example, and returns its path.

        Raises:
            InputError: it can't be written.
        """
        path = epath.Path(folder) / layout.AUDIT_TABLE
        files.write_csv(path, self.rows())
        return path

    def summary(self) -> dict[str, Any]:
        """The contents of audit.json: what was found, without the single examples."""
        rate, names = self.noise_rate, self.class_names
        return {
            "split_sha256": self.split_sha256,
            "num_examples": len(self.ids),
            "num_label_issues": int(self.is_label_issue.sum()),
            "noise_rate": rate.rate,
            "noise_rate_interval": list(rate.interval),
            "class_noise_rates": {
                name: None if np.isnan(value) else float(value)
                for name, value in zip(names, rate.class_rates, strict=True)
            },
            "confusions": [
                {"given_label": names[i], "predicted_label": names[j], "count": int(count)}
                for i, j, count in self._pairs()
            ],
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """The audit in a few lines, for a console."""
        rate, (low, high) = self.noise_rate.rate, self.noise_rate.interval
        names, count = self.class_names, len(self.ids)
        pairs = [f"{names[i]} → {names[j]} ({n})" for i, j, n in self._pairs()[:_SHOWN]]
        row = "  {:<28}{:<18}{:<18}{:>8}".format
        lines = [
            *self.notes,
            f"{count:,} labels, of which about {rate * count:,.0f} are wrong: {rate:.1%} "
            f"(95 % interval {low:.1%} to {high:.1%})",
            f"Confused: {', '.join(pairs) or 'no classes'}",
            "",
            row("most suspicious", "given", "suggested", "quality"),
        ]
        for i in self.order()[:_SHOWN]:
            given, predicted = names[self.given[i]], names[self.predicted[i]]
            quality = f"{self.label_quality[i]:.3f}"
            lines.append(row(str(self.ids[i])[-27:], given[:17], predicted[:17], quality))
        return "\n".join(lines)

    def _pairs(self):
        """The confused classes with their counts, the most frequent first."""
        counts = self.confusions()
        pairs = np.argwhere(counts)
        order = np.argsort(-counts[tuple(pairs.T)], kind="stable")
        return [(i, j, int(counts[i, j])) for i, j in pairs[order].tolist()]


def _short(values: np.ndarray) -> np.ndarray:
    """Numbers as they are written: floats with seven digits, and None for NaN."""
    if values.dtype.kind != "f":
        return values
    shown = [None if np.isnan(v) else float(f"{v:.7g}") for v in values.tolist()]
    return np.array(shown, object)

"""The result of an audit: which labels are probably wrong, and how many."""

import dataclasses
import json
from typing import Any

import numpy as np
from etils import epath

from mentormix_tf import files
from mentormix_tf.auditing import gallery
from mentormix_tf.auditing.findings import Findings
from mentormix_tf.errors import InputError
from mentormix_tf.reports import audit_page
from mentormix_tf.runs import layout

__all__ = ["Audit"]

_SHOWN = 10  # examples and pairs of classes in the summary


@dataclasses.dataclass(frozen=True)
class Audit(Findings):
    """An audit of the labels of a training set: its `Findings`, which it can print and save.

    Attributes:
        folder: where `save` writes by default.
    """

    folder: epath.PathLike = layout.AUDIT

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

    def save(self, folder: epath.PathLike | None = None, top: int = 500) -> epath.Path:
        """Writes audit.csv, audit.html, audit.json and transition_matrix.csv.

        Args:
            folder: where to; by default, `folder`. An audit may replace one of the same labels and
                the same run, but no other.
            top: number of examples that audit.html shows with their images, the most suspicious.

        Returns:
            The folder.

        Raises:
            InputError: the folder can't be written, or holds another audit.
        """
        path = files.expanded(folder or self.folder, "output_dir")
        self._make(path)
        # First, since it says whose audit this is: one that was killed may then be repeated.
        files.write(path / layout.AUDIT_SUMMARY, json.dumps(self.summary(), indent=2) + "\n")
        files.write_csv(path / layout.AUDIT_TABLE, self.rows())
        matrix = self.noise_rate.transition_matrix().round(6).tolist()
        files.write(path / layout.AUDIT_TRANSITIONS, files.csv_text(matrix))
        title = f"Label audit of {self.subject.get('dataset', 'a training set')}"
        subtitle = str(self.subject.get("model_dir", self.subject.get("model", "")))
        page = gallery.page(self, top, title, subtitle)
        files.write(path / layout.AUDIT_PAGE, audit_page.render(page))
        return path

    def _make(self, path):
        """Makes the folder for the results."""
        written = (
            layout.AUDIT_TABLE,
            layout.AUDIT_PAGE,
            layout.AUDIT_SUMMARY,
            layout.AUDIT_TRANSITIONS,
        )
        try:
            path.mkdir(parents=True, exist_ok=True)
            taken = [name for name in written if (path / name).exists()]
        except OSError as error:
            raise InputError(
                f"output_dir={path} can't be written: {files.reason(error)}."
            ) from error
        try:
            there = files.read_json(path / layout.AUDIT_SUMMARY)
            is_repeated = there["split_sha256"] == self.split_sha256
            # A run's own folder may have been moved with the run.
            run = self.subject.get("model_dir")
            is_repeated &= path == epath.Path(self.folder) or there.get("model_dir") == run
        except (InputError, LookupError, TypeError, AttributeError):
            is_repeated = False
        if taken and not is_repeated:
            raise InputError(
                f"output_dir={path} holds another {taken[0]}: name a new folder, or move that one "
                "away."
            )

    def summary(self) -> dict[str, Any]:
        """The contents of audit.json: what was found, without the single examples."""
        rate, names = self.noise_rate, self.class_names
        return {
            **self.subject,
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
                for i, j, count in self.pairs()
            ],
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """The audit in a few lines, for a console."""
        rate, (low, high) = self.noise_rate.rate, self.noise_rate.interval
        names, count = self.class_names, len(self.ids)
        pairs = [f"{names[i]} → {names[j]} ({n})" for i, j, n in self.pairs()[:_SHOWN]]
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
            given, predicted = names[int(self.given[i])], names[int(self.predicted[i])]
            quality = f"{self.label_quality[i]:.3f}"
            lines.append(row(str(self.ids[i])[-27:], given[:17], predicted[:17], quality))
        return "\n".join(lines)


def _short(values: np.ndarray) -> np.ndarray:
    """Numbers as they are written: floats with seven digits, and None for NaN."""
    if values.dtype.kind != "f":
        return values
    shown = [None if np.isnan(v) else float(f"{v:.7g}") for v in values.tolist()]
    return np.array(shown, object)

"""Reports a run to the console, its folder, TensorBoard and a tracker."""

import logging
from typing import Any

from mentormix_tf.data.splits import NoisySplits
from mentormix_tf.distribution import strategies
from mentormix_tf.metrics import classification, plots
from mentormix_tf.metrics.predictions import Predictions
from mentormix_tf.runs import examples, layout, run_folder
from mentormix_tf.runs.result import SPLIT_FACTS
from mentormix_tf.runs.run_folder import RunFolder
from mentormix_tf.training.evaluation import Evaluation
from mentormix_tf.training.loop import Progress
from mentormix_tf.training.tensorboard import TensorBoard
from mentormix_tf.training.trackers import Tracker

__all__ = ["LINE", "Report"]

_log = logging.getLogger(__name__)

# What the log shows of an evaluation, if it has the column: column, text, format.
LINE = (
    ("loss", "loss", ".3f"),
    ("gamma", "γ", ".2f"),
    ("mean_v", "v", ".2f"),
    ("mean_v_clean", "of right labels", ".2f"),
    ("mean_v_wrong", "of wrong", ".2f"),
    ("test_accuracy", "test accuracy", ".3f"),
    ("averaged_test_accuracy", "averaged", ".3f"),
    ("validation_accuracy", "noisy validation", ".3f"),
    ("train_wrong_accuracy", "memorized", ".3f"),
    ("images_per_second", "images/s", ",.0f"),
)


class Report:
    """Reports each evaluation, and the run when it is done.

    Args:
        evaluation: evaluates the model.
        folder: the run's folder.
        data: the run's data.
        progress: the run's progress, whose rows `Loop` adds to.
        tracker: what gets the evaluations, too.
        writes: whether this process reports; the others only evaluate.
    """

    def __init__(
        self,
        evaluation: Evaluation,
        folder: RunFolder,
        data: NoisySplits,
        progress: Progress,
        tracker: Tracker,
        writes: bool = True,
    ):
        self.evaluation = evaluation
        self.folder = folder
        self.data = data
        self.progress = progress
        self.tracker = tracker
        self.writes = writes
        self.class_names = data.class_names
        if writes:
            done = int(evaluation.model.step.numpy())
            self._tensorboard = TensorBoard(folder.path / layout.TENSORBOARD, done)
            if not progress.rows:
                self._tensorboard.write_settings(folder.config)

    def add(self, shown: dict[str, Any]) -> dict[str, Any]:
        """Evaluates the network and reports the results.

        Args:
            shown: the columns that training measured since the last evaluation, with `step`.

        Returns:
            The row of metrics.csv: numbers by column, None for values that are unknown.
        """
        row, sample = self.evaluation.row()
        # A float32 holds seven digits.
        row = {k: v if v is None else float(f"{v:.7g}") for k, v in {**shown, **row}.items()}
        row["step"] = step = shown["step"]
        mixed = self.evaluation.mixed() if self._is_time_for_a_picture(step) else None
        if self.writes:
            self.folder.write_rows([*self.progress.rows, row])
            self._tensorboard.write_row(row)
            self.tracker.write_rows([*self.progress.rows, row])
            self._tensorboard.write_losses(step, sample)
            if mixed:
                picture = plots.png(plots.draw_mixed(*mixed, self.class_names))
                self._tensorboard.write_picture(step, "mixed", picture)
            _log.info(self._line(row))
        return row

    def finish(
        self, end: tuple[dict[str, Any], Predictions] | None = None, **facts: Any
    ) -> dict[str, Any] | None:
        """Reports a finished run: confusion_matrix.csv and .png, examples.npz, and result.json.

        Args:
            end: the row and the predictions for the test split of the network that the run ends
                with, if that is not the model's own.
            **facts: further entries of result.json.

        Returns:
            The contents of result.json; None in a process that does not write.
        """
        test = self.evaluation.test()
        if not self.writes:
            return None
        rows, names = self.progress.rows, self.class_names
        row, test = end or (None, test)
        matrix = classification.confusion_matrix(test.label, test.predicted, len(names))
        picture = plots.png(plots.draw_confusion_matrix(matrix, names))
        self._tensorboard.write_picture(rows[-1]["step"], "confusion_matrix", picture)
        self.folder.write_rows(rows)
        run_folder.write_confusion_matrix(self.folder.path, matrix, names, picture)
        model = self.evaluation.model
        if model.audit_examples:
            examples.write(
                self.folder.path / layout.EXAMPLES,
                model.statistics.read(),
                self.data.manifest["split_sha256"],
            )
        result = self.folder.write_result(
            rows,
            row,
            **{name: self.data.manifest[name] for name in SPLIT_FACTS},
            class_accuracies=classification.class_accuracies(matrix, names),
            **facts,
            device=strategies.describe(model.distribute_strategy),
        )
        self.tracker.finish(rows, result)
        return result

    def _is_time_for_a_picture(self, step):
        """Whether this is the first evaluation, or the first after another quarter of the run."""
        training = self.folder.config.training
        every = min(training.eval_every, training.train_steps)
        quarter = training.train_steps / 4
        return step == every or step // quarter > (step - every) // quarter

    def _line(self, row):
        total = self.folder.config.training.train_steps
        parts = [
            f"{text} {row[column]:{form}}"
            for column, text, form in LINE
            if row.get(column) is not None
        ]
        return "  ".join([f"step {row['step']:>{len(str(total))}}/{total}", *parts])

"""Evaluates a trained network, or an exported one, on a prepared split."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from mentormix_tf import files
from mentormix_tf.config import DataConfig
from mentormix_tf.data import splits
from mentormix_tf.errors import InputError
from mentormix_tf.metrics import classification, plots
from mentormix_tf.metrics.predictions import Predictions
from mentormix_tf.runs import layout, run_folder, saved_run
from mentormix_tf.runs.saved_run import SavedRun
from mentormix_tf.serving import classifier, scoring
from mentormix_tf.serving.saved_model import Loaded

__all__ = ["MOST_CLASSES", "WRITTEN", "Evaluated", "data_config", "evaluate"]

WRITTEN = (layout.EVALUATION, layout.CONFUSION_MATRIX, layout.CONFUSION_PICTURE)
MOST_CLASSES = 20  # rows of the table; with more classes, those with the lowest accuracy


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """The results of an evaluation.

    Attributes:
        report: the contents of evaluation.json. Accuracies are in [0, 1]; None for a class without
            examples.
        predictions: the predictions that `report` summarizes.
        confusion_matrix: `[num_classes, num_classes]`, int64, a row for each label and a
            column for each predicted class.
        folder: the folder of evaluation.json, confusion_matrix.csv and confusion_matrix.png.
    """

    report: dict[str, Any]
    predictions: Predictions
    confusion_matrix: np.ndarray
    folder: epath.Path

    def table(self) -> str:
        """The report as text for a console."""
        report = self.report
        accuracies, counts = report["class_accuracies"], report["class_counts"]
        names = [name for name in accuracies if accuracies[name] is not None]
        heading = "class"
        if len(names) > MOST_CLASSES:
            names = sorted(names, key=accuracies.get)[:MOST_CLASSES]
            heading = f"the {MOST_CLASSES} lowest of {len(accuracies)} classes"
        row = "{:<32}{:>10}{:>10}".format
        lines = [
            f"{report['data']}, {report['split']}: {report['num_examples']:,} images, compared "
            f"with their {report['compared_with'].replace('_', ' ')}s",
            f"{report['weights']} weights of step {report['step']:,}"
            if "step" in report
            else report["saved_model"],
            "",
            f"top-1 accuracy              {report['accuracy']:.4f}",
            f"top-5 accuracy              {report['top_5_accuracy']:.4f}",
            f"expected calibration error  {report['expected_calibration_error']:.4f}",
            "",
            row(heading, "images", "accuracy"),
            *(row(name[:31], f"{counts[name]:,}", f"{accuracies[name]:.4f}") for name in names),
            "",
        ]
        return "\n".join(lines)


def data_config(trained_on: DataConfig, **changed: Any) -> DataConfig:
    """The data to evaluate on: the training data's config with some fields changed.

    Args:
        trained_on: the data that the network was trained on.
        **changed: fields of `DataConfig`. If dataset is among them, all others have their defaults;
            if noise is, noise_level has its default.
    """
    base = DataConfig(data_dir=trained_on.data_dir) if "dataset" in changed else trained_on
    if "noise" in changed and "noise_level" not in changed:
        base = dataclasses.replace(base, noise_level=None)  # its default depends on the noise
    return dataclasses.replace(base, **changed)


def evaluate(
    model: SavedRun | Loaded,
    data_config: DataConfig | None = None,
    split: str = "test",
    weights: str = "auto",
    true_labels: bool = False,
    batch_size: int = 100,
    output_dir: epath.PathLike | None = None,
) -> Evaluated:
    """Evaluates a network on a split and writes the results; prepares the split if missing.

    Args:
        model: a run, or an exported SavedModel.
        data_config: the data; None for the data that the network was trained on.
        split: train, validation or test, or several joined by "+", as in train+test.
        weights: which weights of a run, see `saved_run.load_network`; auto for a SavedModel.
        true_labels: whether to compare predictions with the true labels, where they are known,
            rather than with the labels that training sees.
        batch_size: images per batch.
        output_dir: folder for the results; by default, a subfolder of evaluation/, in the run's
            folder or, for a SavedModel, in the current one, named after model, data and split.

    Raises:
        InputError: the weights, the data or the split don't exist or can't be read, or the folder
            can't be written or holds another evaluation.
    """
    if isinstance(model, SavedRun):
        trained = saved_run.load_network(model, weights)
        subject = {"model_dir": str(model.path), "weights": trained.weights, "step": trained.step}
        classify, trained_on = classifier.of_run(model, trained).classify_encoded, model.config.data
        name, root = f"{trained.weights}-step{trained.step}", model.path / layout.EVALUATIONS
    else:
        if weights != "auto":
            raise InputError(f"weights={weights} can't be chosen: a SavedModel holds one set.")
        subject = {"saved_model": model.path}
        classify, trained_on = model.classify_encoded, model.data
        path = epath.Path(model.path).resolve()
        name, root = f"{path.parent.name}-{path.name}", epath.Path(layout.EVALUATIONS)

    data = splits.prepare(data_config or trained_on)
    kind = "true_label" if true_labels else "label"
    subject |= {"data": str(data.path), "split": split, "compared_with": kind}
    suffix = "-true_labels" if true_labels else ""
    folder = root / f"{data.path.parent.name}-{split}{suffix}-{name}"
    folder = files.expanded(output_dir, "output_dir") if output_dir else folder
    # The same default folder may be reached by another path next time.
    paths = () if output_dir else ("model_dir", "saved_model", "data")
    _make_folder(folder, {k: v for k, v in subject.items() if k not in paths})

    class_names = model.class_names
    predictions = scoring.score(classify, class_names, data, split, true_labels, batch_size)
    matrix = classification.confusion_matrix(
        predictions.label, predictions.predicted, len(class_names)
    )
    report = {**subject, **_metrics(predictions, matrix, class_names)}
    files.write(folder / layout.EVALUATION, json.dumps(report, indent=2))
    picture = plots.png(plots.draw_confusion_matrix(matrix, class_names))
    run_folder.write_confusion_matrix(folder, matrix, class_names, picture)
    return Evaluated(report, predictions, matrix, folder)


def _metrics(
    predictions: Predictions, matrix: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    counts = matrix.sum(axis=1)
    return {
        "num_examples": len(predictions.label),
        "accuracy": predictions.accuracy(),
        "top_5_accuracy": predictions.top_k(5),
        "expected_calibration_error": classification.expected_calibration_error(
            predictions.label, predictions.predicted, predictions.confidence
        ),
        "class_accuracies": classification.class_accuracies(matrix, class_names),
        "class_counts": {name: int(count) for name, count in zip(class_names, counts, strict=True)},
    }


def _make_folder(folder: epath.Path, subject: dict[str, Any]) -> None:
    """Makes the folder for the results; an evaluation may replace itself, but no other."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = [name for name in WRITTEN if (folder / name).exists()]
    except OSError as error:
        raise InputError(f"output_dir={folder} can't be written: {error.strerror}.") from error
    try:
        there = files.read_json(folder / layout.EVALUATION)
        is_repeated = {name: there[name] for name in subject} == subject
    except (InputError, KeyError):
        is_repeated = False
    if taken and not is_repeated:
        raise InputError(
            f"output_dir={folder} holds another {taken[0]}: name a new folder, or move that one "
            "away."
        )

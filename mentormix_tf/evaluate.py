"""python -m mentormix_tf.evaluate: measures a run's network, or an exported one, on a split."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Literal

from etils import epath

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.config import DataConfig
from mentormix_tf.data import splits
from mentormix_tf.errors import InputError
from mentormix_tf.metrics import classification, plots
from mentormix_tf.runs import saved_run
from mentormix_tf.serving import classifier, saved_model, scoring

FILES = ("evaluation.json", "confusion_matrix.csv", "confusion_matrix.png")
MOST_CLASSES = 20  # in the table; of more, those with the lowest accuracy


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """What is measured.

    Args:
        model_dir: folder of the run.
        saved_model: instead of model_dir, an exported SavedModel: a version's folder.
        weights: last of training, best on the validation split, or their moving average; auto for
            averaged where the run kept it, else last.
        split: train, validation or test, or several, as in train+test.
        true_labels: compare with the true labels, where they are known, rather than with those
            that training sees; on test splits they are the same.
        batch_size: images that are classified at once.
        output_dir: folder for evaluation.json, confusion_matrix.csv and confusion_matrix.png; left
            out, one in evaluation/ in model_dir (for a saved_model, in the current folder) that is
            named after what is measured.
    """

    model_dir: str = ""
    saved_model: str = ""
    weights: Literal["auto", "last", "best", "averaged"] = "auto"
    split: str = "test"
    true_labels: bool = False
    batch_size: int = 100
    output_dir: str = ""

    def __post_init__(self):
        if bool(self.model_dir) == bool(self.saved_model):
            raise InputError("Name either a run, as --model_dir=runs/..., or a --saved_model.")
        if self.saved_model and self.weights != "auto":
            raise InputError(f"weights={self.weights} can't be chosen: a SavedModel has one set.")
        if self.batch_size < 1:
            raise InputError(f"batch_size={self.batch_size} must be at least 1.")


SECTIONS = (
    Section("What is measured", EvaluateConfig),
    Section("The split; flags left out are as the network was trained", DataConfig, (), False),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluates what a command line names; returns the exit status."""
    summary = "Measures a run's network, or an exported one, on a prepared split."
    return command.run(_evaluate, summary, SECTIONS, argv)


def _evaluate(given: Given) -> None:
    config = given.config(EvaluateConfig)
    if config.model_dir:
        run = saved_run.read(config.model_dir)
        trained = saved_run.load_network(run, config.weights)
        subject = {"model_dir": str(run.path), "weights": trained.weights, "step": trained.step}
        classify = classifier.of_run(run, trained).classify_encoded
        class_names, trained_on = run.class_names, run.config.data
        name, root = f"{trained.weights}-step{trained.step}", run.path / "evaluation"
    else:
        loaded = saved_model.load(config.saved_model)
        subject = {"saved_model": config.saved_model}
        classify, class_names, trained_on = loaded.classify_encoded, loaded.class_names, loaded.data
        path = epath.Path(config.saved_model).resolve()
        name, root = f"{path.parent.name}-{path.name}", epath.Path("evaluation")

    data = splits.prepare(_data_config(trained_on, given.fields_given(DataConfig)))
    kind = "true_label" if config.true_labels else "label"
    subject |= {"data": str(data.path), "split": config.split, "compared_with": kind}
    suffix = "-true_labels" if config.true_labels else ""
    folder = root / f"{data.path.parent.name}-{config.split}{suffix}-{name}"
    folder = epath.Path(config.output_dir).expanduser() if config.output_dir else folder
    # In a folder of its own choice it may be reached by another path the next time.
    paths = () if config.output_dir else ("model_dir", "saved_model", "data")
    _make_folder(folder, {k: v for k, v in subject.items() if k not in paths})

    found = scoring.score(
        classify, class_names, data, config.split, config.true_labels, config.batch_size
    )
    report, matrix = measured(found, class_names)
    _write(folder, {**subject, **report}, matrix, class_names)
    print(_table(subject, report))
    print(f"More in {folder}/")


def _data_config(trained_on, given):
    """The data that the flags name; without --dataset, the run's own with what they change."""
    base = DataConfig(data_dir=trained_on.data_dir) if "dataset" in given else trained_on
    if "noise" in given and "noise_level" not in given:
        base = dataclasses.replace(base, noise_level=None)  # another noise, another default
    return dataclasses.replace(base, **given)


def measured(found, class_names):
    """What predictions are worth.

    Args:
        found: `Predictions`.
        class_names: a name for each class.

    Returns:
        A dict of numbers, and of dicts from class name to number, with None for a class that has
        no example; and the confusion matrix `[num_classes, num_classes]`.
    """
    label, predicted = found.label, found.predicted
    matrix = classification.confusion_matrix(label, predicted, len(class_names))
    counts = matrix.sum(axis=1)
    return {
        "num_examples": len(label),
        "accuracy": classification.accuracy(label, predicted),
        "top_5_accuracy": classification.top_k_accuracy(found.rank, 5),
        "expected_calibration_error": classification.expected_calibration_error(
            label, predicted, found.confidence
        ),
        "class_accuracies": classification.class_accuracies(matrix, class_names),
        "class_counts": {name: int(count) for name, count in zip(class_names, counts, strict=True)},
    }, matrix


def _make_folder(folder, subject):
    """Makes the folder for the files, in which an evaluation is repeated but replaces no other."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = [name for name in FILES if (folder / name).exists()]
    except OSError as error:
        raise InputError(f"output_dir={folder} can't be written: {error.strerror}.") from error
    try:
        there = json.loads((folder / FILES[0]).read_text())
        repeated = {name: there[name] for name in subject} == subject
    except (OSError, ValueError, KeyError):
        repeated = False
    if taken and not repeated:
        raise InputError(
            f"output_dir={folder} holds another {taken[0]}: name a new folder, or move that one "
            "away."
        )


def _write(folder, report, matrix, class_names):
    table = classification.confusion_csv(matrix, class_names)
    picture = plots.png(plots.draw_confusion_matrix(matrix, class_names))
    contents = (json.dumps(report, indent=2).encode(), table.encode(), picture)
    try:
        for name, content in zip(FILES, contents, strict=True):
            (folder / name).write_bytes(content)
    except OSError as error:
        raise InputError(f"output_dir={folder} can't be written: {error.strerror}.") from error


def _table(subject, report):
    accuracies, counts = report["class_accuracies"], report["class_counts"]
    names = [name for name in accuracies if accuracies[name] is not None]
    heading = "class"
    if len(names) > MOST_CLASSES:
        names = sorted(names, key=accuracies.get)[:MOST_CLASSES]
        heading = f"the {MOST_CLASSES} lowest of {len(accuracies)} classes"
    row = "{:<32}{:>10}{:>10}".format
    lines = [
        f"{subject['data']}, {subject['split']}: {report['num_examples']:,} images, compared with "
        f"their {subject['compared_with'].replace('_', ' ')}s",
        f"{subject['weights']} weights of step {subject['step']:,}"
        if "step" in subject
        else subject["saved_model"],
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


if __name__ == "__main__":
    sys.exit(main())

"""The results of a study's runs as two tables: a row per run, and a row per evaluation."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from etils import epath

from mentormix_tf import files
from mentormix_tf.errors import InputError
from mentormix_tf.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from mentormix_tf.studies.study_file import StudyRun

__all__ = [
    "CURVES",
    "INTEGERS",
    "OLD_COLUMNS",
    "RUNS",
    "TEXTS",
    "Rows",
    "collect",
    "kind",
    "read",
    "write",
]

Rows = list[dict[str, Any]]

RUNS, CURVES = "runs.csv", "curves.csv"
INTEGERS = ("seed", "steps", "step", "image_size", "train_examples")
OLD_COLUMNS = {"memorised": "memorized"}  # of tables written by earlier versions
TEXTS = (
    *("kind", "method", "network", "split", "settings"),
    *("device", "tensorflow", "keras", "git_revision"),
)


def collect(folder: epath.PathLike, runs: Iterable["StudyRun"]) -> tuple[Rows, Rows]:
    """Reads the results of those runs of a study that are finished.

    Args:
        folder: the study's folder.
        runs: the study's runs.

    Returns:
        `(runs, curves)`. A row of runs has

        - kind, method, seed, and level: the fraction of wrong labels, in [0, 1], as requested, or
          as realized if the noise has no levels;
        - peak and final: accuracies on clean test labels, in [0, 1]; at_best_validation: that at
          the step with the highest accuracy on noisy validation labels; averaged_peak and
          averaged_final: those of the averaged weights; None where there is no validation split or
          no average;
        - memorized: the fraction of wrong training labels that the network predicts at the end;
          None if unknown;
        - realized_noise_rate, steps, network, image_size (pixels per side; 0 for the images' own),
          train_examples (None for all), split (its SHA-256), settings (JSON), images_per_second,
          device, tensorflow, keras and git_revision.

        A row of curves has kind, level, method, seed, step and test_accuracy.

    Raises:
        InputError: a result can't be read.
    """
    rows, curves = [], []
    for run in runs:
        path = epath.Path(folder) / run.name
        try:
            run_folder = RunFolder(path, run.config)
            result = run_folder.result()
            if result is None:
                continue
            row = _row(result, run.config)
            which = {name: row[name] for name in ("kind", "level", "method", "seed")}
            for line in run_folder.rows():
                step, accuracy = int(line["step"]), float(line["test_accuracy"])
                curves.append({**which, "step": step, "test_accuracy": accuracy})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} has an incomplete result ({error!r}): delete the folder and run the "
                "study again."
            ) from error
        rows.append(row)
    return rows, curves


def kind(dataset: str, noise: str) -> str:
    """The kind of labels that figures and tables group by, such as digits-symmetric.

    All human labels of a data set are one kind, with several noise levels.
    """
    return f"{dataset}-{'human' if noise.startswith('human_') else noise}"


def _row(result, config):
    level = result["noise_level"]
    return {
        "kind": kind(result["dataset"], result["noise"]),
        "level": result["realized_noise_rate"] if level is None else level,
        "method": result["method"],
        "seed": result["seed"],
        "peak": result["peak_accuracy"],
        "final": result["final_accuracy"],
        "at_best_validation": result.get("accuracy_at_best_validation"),
        "averaged_peak": result.get("averaged_peak_accuracy"),
        "averaged_final": result.get("averaged_final_accuracy"),
        "memorized": result.get("final_train_wrong_accuracy"),
        "realized_noise_rate": result["realized_noise_rate"],
        "steps": result["steps"],
        "network": result["network"],
        "image_size": config.training.image_size,
        "train_examples": config.data.train_examples,
        "split": result["split_sha256"],
        "settings": json.dumps(result["hyperparameters"]),
        "images_per_second": result["images_per_second"],
        "device": result["device"],
        "tensorflow": result["versions"]["tensorflow"],
        "keras": result["versions"]["keras"],
        "git_revision": result["git_revision"],
    }


def write(
    folder: epath.PathLike, runs: Sequence[Mapping[str, Any]], curves: Sequence[Mapping[str, Any]]
) -> None:
    """Writes runs.csv and curves.csv, which `read` reads."""
    for name, rows in ((RUNS, runs), (CURVES, curves)):
        files.write_csv(epath.Path(folder) / name, rows)


def read(folder: epath.PathLike) -> tuple[Rows, Rows]:
    """Reads runs.csv and curves.csv.

    Returns:
        `(runs, curves)`, as `collect` returns them.

    Raises:
        InputError: a table can't be read.
    """
    return _read_table(folder, RUNS), _read_table(folder, CURVES)


def _read_table(folder, name):
    return [_row_of_text(row) for row in files.read_csv(epath.Path(folder) / name)]


def _row_of_text(row):
    named = {OLD_COLUMNS.get(name, name): text for name, text in row.items()}
    return {name: _value(name, text) for name, text in named.items()}


def _value(name, text):
    if name in TEXTS:
        return text
    return (int(text) if name in INTEGERS else float(text)) if text else None

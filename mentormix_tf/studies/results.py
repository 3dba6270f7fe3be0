"""The results of a study's runs as two tables: a row a run, and a row an evaluation."""

import json

from etils import epath

from mentormix_tf import files
from mentormix_tf.errors import InputError
from mentormix_tf.runs.run_folder import RunFolder

RUNS, CURVES = "runs.csv", "curves.csv"
INTEGERS = ("seed", "steps", "step", "image_size", "train_examples")
OLD_COLUMNS = {"memorised": "memorized"}  # of tables that earlier versions wrote
TEXTS = (
    *("kind", "method", "network", "split", "settings"),
    *("device", "tensorflow", "keras", "git_revision"),
)


def collect(folder, runs):
    """Reads the results of a study's runs, as far as they are done.

    Args:
        folder: the study's.
        runs: list of `StudyRun`.

    Returns:
        `(runs, curves)`, lists of dicts. A run has kind, level (share of wrong labels in [0, 1]: as
        asked for, or as realized where the noise has no levels), method, seed, peak and final
        (accuracies on clean test labels, in [0, 1]), at_best_validation (that of the step which is
        best on noisy validation, where there is some), averaged_peak and averaged_final (those of
        the weights' averages, where they are kept), memorized (share of wrong training labels that
        the network repeats at the end; None if unknown), realized_noise_rate, steps, network,
        image_size (pixels a side; 0 for the images' own), train_examples (None for all), split (its
        SHA-256), settings (JSON), images_per_second, device, tensorflow, keras, git_revision. A row
        of curves has kind, level, method, seed, step and test_accuracy.

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
                f"{path} has no whole result ({error!r}): delete the folder and run the study "
                "again."
            ) from error
        rows.append(row)
    return rows, curves


def kind(dataset, noise):
    """What a line of a figure and a column of a table stand for, such as digits-symmetric.

    Human labels of a data set are one kind, of several noise levels.
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


def write(folder, runs, curves):
    """Writes runs.csv and curves.csv, from which `read` gets the same again."""
    for name, rows in ((RUNS, runs), (CURVES, curves)):
        files.write_csv(epath.Path(folder) / name, rows)


def read(folder):
    """Reads what `write` has written; see `collect`.

    Raises:
        InputError: a table can't be read.
    """
    return tuple(
        [_row_of_text(row) for row in files.read_csv(epath.Path(folder) / name)]
        for name in (RUNS, CURVES)
    )


def _row_of_text(row):
    named = {OLD_COLUMNS.get(name, name): text for name, text in row.items()}
    return {name: _value(name, text) for name, text in named.items()}


def _value(name, text):
    if name in TEXTS:
        return text
    return (int(text) if name in INTEGERS else float(text)) if text else None

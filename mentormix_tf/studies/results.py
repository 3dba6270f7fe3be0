"""The results of a study's runs as two tables: a row per run, and a row per evaluation."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from etils import epath

from mentormix_tf import files, methods
from mentormix_tf.config import RunConfig
from mentormix_tf.errors import InputError
from mentormix_tf.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from mentormix_tf.studies.study_file import StudyRun

__all__ = [
    "CURVES",
    "DEFAULTS",
    "INTEGERS",
    "OLD_COLUMNS",
    "RUNS",
    "TEXTS",
    "Rows",
    "collect",
    "identity",
    "join",
    "kept_runs",
    "kind",
    "read",
    "write",
]

Rows = list[dict[str, Any]]

RUNS, CURVES = "runs.csv", "curves.csv"
# Where data is, and how steps run, as far as results don't depend on it.
_HARMLESS = ("data_dir", "jit_compile", "steps_per_execution", "max_image_pixels")
DEFAULTS = "1"  # to be changed when a default is
INTEGERS = ("seed", "steps", "step", "image_size", "train_examples", "num_classes")
OLD_COLUMNS = {"memorised": "memorized"}  # of tables written by earlier versions
TEXTS = (
    *("kind", "method", "network", "split", "settings", "run"),
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
        - run: a hash of all settings that determine the result, see `identity`;
        - realized_noise_rate, steps, network, image_size (pixels per side; 0 for the images' own),
          train_examples (None for all), num_classes, split (its SHA-256), settings (JSON),
          images_per_second, device, tensorflow, keras and git_revision.

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
            row = _row(result, run)
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


def identity(config: RunConfig) -> str:
    """A hash of the settings of a run, but for those that change neither labels nor training.

    Settings with their default values are left out, so that a new setting does not change it.
    """
    defaults = RunConfig(method=config.method, hyperparameters=methods.resolve(config.method, {}))
    usual = {name: text for name, text in defaults.flags().items() if name != "method"}
    flags = {
        name: text
        for name, text in config.flags().items()
        if name not in _HARMLESS and text != usual.get(name)
    }
    flags["defaults"] = DEFAULTS
    return hashlib.sha256(json.dumps(flags, sort_keys=True).encode()).hexdigest()[:16]


def join(
    folder: epath.PathLike, runs: Sequence["StudyRun"], kept: tuple[Rows, Rows]
) -> tuple[Rows, Rows]:
    """The results of a study's runs, from their folders or else from tables that were kept.

    Args:
        folder: the study's folder.
        runs: the study's runs.
        kept: what `read` read.

    Returns:
        `(runs, curves)`, as `collect` returns them, in the order of `runs`.

    Raises:
        InputError: a result can't be read.
    """
    rows, curves = [], []
    lines = {_cell(row): [] for row in kept[0]}
    for line in kept[1]:
        lines.setdefault(_cell(line), []).append(line)
    for run in runs:
        found = collect(folder, [run])
        if not found[0]:
            of_run = [row for row in kept[0] if row.get("run") == identity(run.config)][:1]
            found = of_run, [line for row in of_run for line in lines[_cell(row)]]
        rows += found[0]
        curves += found[1]
    return rows, curves


def kept_runs(runs: Sequence["StudyRun"], kept: tuple[Rows, Rows]) -> set[str]:
    """The names of the runs of a study whose results are in tables that were kept."""
    there = {row.get("run") for row in kept[0]}
    return {run.name for run in runs if identity(run.config) in there}


def _cell(row):
    return tuple(row[name] for name in ("kind", "level", "method", "seed"))


def kind(dataset: str, noise: str) -> str:
    """The kind of labels that figures and tables group by, such as digits-symmetric.

    All human labels of a data set are one kind, with several noise levels.
    """
    return f"{dataset}-{'human' if noise.startswith('human_') else noise}"


def _row(result, run):
    config, level = run.config, result["noise_level"]
    values = config.values()
    own = {name: values[name] for name in run.own}
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
        "num_classes": len(result.get("class_accuracies", ())) or None,
        "split": result["split_sha256"],
        "settings": json.dumps({**result["hyperparameters"], **own}),
        "run": identity(config),
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
        # Rows from tables of earlier versions lack columns.
        columns = dict.fromkeys(column for row in rows for column in row)
        whole = [{column: row.get(column) for column in columns} for row in rows]
        files.write_csv(epath.Path(folder) / name, whole)


def read(folder: epath.PathLike) -> tuple[Rows, Rows]:
    """Reads runs.csv and curves.csv.

    Returns:
        `(runs, curves)`, as `collect` returns them.

    Raises:
        InputError: a table can't be read.
    """
    return _read_table(folder, RUNS), _read_table(folder, CURVES)


def _read_table(folder, name):
    path = epath.Path(folder) / name
    try:
        rows = [_row_of_text(row) for row in files.read_csv(path)]
        for row in rows:
            _cell(row)
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{path} can't be read as results of a study ({error}): restore it, or delete it."
        ) from error
    return rows


def _row_of_text(row):
    named = {OLD_COLUMNS.get(name, name): text for name, text in row.items()}
    return {name: _value(name, text) for name, text in named.items()}


def _value(name, text):
    if name in TEXTS:
        return text
    return (int(text) if name in INTEGERS else float(text)) if text else None

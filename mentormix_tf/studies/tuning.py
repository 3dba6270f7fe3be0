"""Chooses settings by accuracy on noisy validation labels, which needs no clean labels."""

import json
import statistics
from collections.abc import Callable

from etils import epath

from mentormix_tf import files
from mentormix_tf.errors import InputError
from mentormix_tf.runs.run_folder import RunFolder
from mentormix_tf.studies.settings import Settings
from mentormix_tf.studies.study_file import Study

__all__ = ["CHOSEN", "TRIED", "choose", "chosen"]

CHOSEN = "chosen.json"
TRIED = "trials.csv"


def choose(study: Study, folder: epath.PathLike) -> None:
    """Chooses each method's settings from its trials, at each level that the study tunes.

    The best settings have the highest accuracy on noisy validation labels at the end of training,
    averaged over the seeds; of equals, the first in the study's file. Settings with a failed trial
    are not chosen. All trials are written to trials.csv, the chosen settings to chosen.json, which
    keeps those it has.

    Args:
        study: a study with trials.
        folder: the study's folder, with the results of its trials.

    Raises:
        InputError: at some level, every setting of a method has a failed trial.
    """
    folder, rows, accuracies = epath.Path(folder), [], {}
    for settings, run in study.trial_runs():
        result = RunFolder(folder / run.name, run.config).result()
        accuracy = result and result["final_validation_accuracy"]
        method, point = run.config.method, run.point
        rows.append(
            {
                "kind": point.kind,
                "level": point.level,
                "method": method,
                "settings": json.dumps(settings),
                "seed": run.config.training.seed,
                "noisy_validation_accuracy": accuracy,
                "steps": run.config.training.train_steps,
            }
        )
        tried = accuracies.setdefault((point.kind, method, point.level), {})
        tried.setdefault(json.dumps(settings), (settings, []))[1].append(accuracy)

    chosen = _read(folder)
    for (kind, method, level), tried in accuracies.items():
        before = chosen.setdefault(kind, {}).setdefault(method, [])
        if any(each["level"] == level for each in before):
            continue
        means = [(statistics.mean(f), each) for each, f in tried.values() if None not in f]
        if not means:
            raise InputError(
                f"Every setting of {method} has a failed trial at level {level:g} of {kind}: see "
                f"the logs in {folder}/trials."
            )
        best = max(means, key=lambda each: each[0])[1]  # the first of equals
        before.append({"level": level, **best})
    if rows:
        files.write_csv(folder / TRIED, rows)
    files.write(folder / CHOSEN, json.dumps(chosen, indent=2) + "\n")


def chosen(folder: epath.PathLike) -> Callable[[str, str], Settings]:
    """Reads the chosen settings.

    Args:
        folder: the study's folder.

    Returns:
        A function from (kind, method) to the chosen settings, which are empty if there are none.

    Raises:
        InputError: chosen.json is damaged.
    """
    found = _read(epath.Path(folder))
    return lambda kind, method: Settings.parse(found.get(kind, {}).get(method, {}), dict)


def _read(folder):
    path = folder / CHOSEN
    return files.read_json(path) if path.exists() else {}

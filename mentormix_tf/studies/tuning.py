"""Chooses settings by accuracy on noisy validation, as one must who has no clean labels."""

import json
import statistics

from etils import epath

from mentormix_tf import files
from mentormix_tf.errors import InputError
from mentormix_tf.runs.run_folder import RunFolder
from mentormix_tf.studies.settings import Settings

CHOSEN = "chosen.json"
TRIED = "trials.csv"


def choose(study, folder):
    """Chooses each method's settings from its trials, at each level that the study tunes at.

    The best has the highest mean, over the seeds, of the accuracy on noisy validation at the end of
    training; of equals, the one that the study's file lists first. Settings of which a trial failed
    are not chosen. What was tried is written to trials.csv, what was chosen to chosen.json; what
    was chosen there before stays.

    Args:
        study: `Study` with trials.
        folder: the study's, with the results of its trials.

    Raises:
        InputError: all settings of a method have failed at a level.
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
                f"Each setting of {method} has a trial at {level:g} of {kind} that failed: see the "
                f"logs in {folder}/trials."
            )
        best = max(means, key=lambda each: each[0])[1]  # the first of equals
        before.append({"level": level, **best})
    if rows:
        files.write_csv(folder / TRIED, rows)
    files.write(folder / CHOSEN, json.dumps(chosen, indent=2) + "\n")


def chosen(folder):
    """What was chosen: a function from (kind, method) to `Settings`, empty ones if nothing was.

    Args:
        folder: the study's.

    Raises:
        InputError: chosen.json is damaged.
    """
    found = _read(epath.Path(folder))
    return lambda kind, method: Settings.parse(found.get(kind, {}).get(method, {}), dict)


def _read(folder):
    path = folder / CHOSEN
    return files.read_json(path) if path.exists() else {}

"""Chooses settings by accuracy on noisy validation, as one must who has no clean labels."""

import collections
import csv
import io
import json
import statistics

from etils import epath

from mentormix_tf.errors import InputError
from mentormix_tf.studies.settings import Settings
from mentormix_tf.training.run_folder import RunFolder

CHOSEN = "chosen.json"
TRIED = "trials.csv"


def choose(study, folder):
    """Chooses each method's settings from its trials, at each level that the study tunes at.

    The best has the highest mean, over the seeds, of the accuracy on noisy validation at the end of
    training; of equals, the one that the study's file lists first. What was tried is written to
    trials.csv, what was chosen to chosen.json. Trials that failed count for nothing.

    Args:
        study: `Study` with trials.
        folder: the study's, with the results of its trials.

    Raises:
        InputError: all trials of a method have failed at a level.
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
        _, found = tried.setdefault(json.dumps(settings), (settings, []))
        found += [] if accuracy is None else [accuracy]

    chosen = collections.defaultdict(lambda: collections.defaultdict(list))
    for (kind, method, level), tried in accuracies.items():
        means = [(statistics.mean(found), each) for each, found in tried.values() if found]
        if not means:
            raise InputError(f"No trial of {method} at {level:g} of {kind} has ended well.")
        best = max(means, key=lambda each: each[0])[1]  # the first of equals
        fixed = study.methods[method].at(level)
        chosen[kind][method].append({"level": level, **fixed, **best})
    if rows:
        table = io.StringIO()
        writer = csv.DictWriter(table, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        (folder / TRIED).write_text(table.getvalue())
    (folder / CHOSEN).write_text(json.dumps(chosen, indent=2) + "\n")


def chosen(folder):
    """What was chosen: a function from (kind, method) to `Settings`, or None where nothing was.

    Args:
        folder: the study's.
    """
    try:
        found = json.loads((epath.Path(folder) / CHOSEN).read_text())
    except FileNotFoundError:
        found = {}

    def settings(kind, method):
        given = found.get(kind, {}).get(method)
        return given and Settings.parse(given, dict)

    return settings

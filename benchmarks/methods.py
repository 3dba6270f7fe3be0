"""Every method on digits with 40 % symmetric noise: settings by noisy validation, then three seeds.

    python -m benchmarks.methods RUNS_DIR                       # all methods
    python -m benchmarks.methods RUNS_DIR vanilla mentormix     # some; several may run at once
    python -m benchmarks.methods RUNS_DIR --tables OUTPUT_DIR   # the tables of what is done

Each run has a folder in RUNS_DIR; what is done is not done again.
"""

import csv
import itertools
import json
import pathlib
import statistics
import sys

import keras

from mentormix_tf import methods
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.training.run import run

# What is tried, on a fifth of the noisy training examples; the first is the method's default.
GRID = {
    "vanilla": {},
    "weight_decay": {"l2": (1e-4, 1e-3, 1e-2)},
    "dropout": {"dropout_rate": (0.5, 0.3, 0.7, 0.9)},
    "s_model": {"expected_noise": (0.1, 0.4)},
    "bootstrap": {"bootstrap_mode": ("soft", "hard"), "beta": (None, 0.6)},
    "mixup": {"alpha": (0.2, 1.0, 8.0)},
    "mentornet": {"gamma_p": (0.75, 0.6, 0.5)},
    "mentormix": {"gamma_p": (0.6, 0.5), "alpha": (8.0, 2.0)},
    "gce": {"q": (0.7, 0.9), "burn_in": (0.33, 0.1)},
    "dynamic_bootstrap": {"alpha": (32.0, 8.0), "burn_in": (0.35, 0.1)},
    "data_parameters": {
        "temperatures": ("instance", "class"),
        "temperature_learning_rate": (0.1, 10.0),
    },
    "o2u": {"drop_rate": (0.4, 0.2, 0.5)},
}
TUNING_SEED, SEEDS = 100, (0, 1, 2)


def settings(method):
    """The dicts of hyperparameters that are tried for a method."""
    names = GRID[method]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*names.values())]


def result(path, method, hyperparameters, seed, validation_fraction=0.0):
    """The contents of a run's result.json, from a new run where there is none."""
    if not (path / "result.json").exists():
        keras.utils.clear_session()
        config = RunConfig(
            data=DataConfig(validation_fraction=validation_fraction),
            method=method,
            hyperparameters=hyperparameters,
            training=TrainingConfig(seed=seed),
        )
        run(config, OutputConfig(model_dir=str(path)))
    return json.loads((path / "result.json").read_text())


def tuned(root, method):
    """A row for each setting that is tried, the best on noisy validation first."""
    rows = []
    for i, chosen in enumerate(settings(method)):
        found = result(root / method / f"tuning{i}", method, chosen, TUNING_SEED, 0.2)
        rows.append((found["final_validation_accuracy"], -i, chosen, found))
    return sorted(rows, reverse=True, key=lambda row: row[:2])


def write_tables(root, output):
    """Writes methods.csv and methods_tuning.csv, and prints the table as Markdown."""
    runs, trials = [], []
    print("| method | settings | peak | final |\n|---|---|---|---|")
    for method in GRID:
        rows = tuned(root, method)
        trials += [
            {
                "method": method,
                "settings": json.dumps(chosen),
                "noisy_validation_accuracy": found["final_validation_accuracy"],
                "seed": TUNING_SEED,
                "git_revision": found["git_revision"],
            }
            for _, _, chosen, found in rows
        ]
        chosen = rows[0][2]
        found = [result(root / method / f"seed{seed}", method, chosen, seed) for seed in SEEDS]
        for each in found:
            names = ("method", "seed", "peak_accuracy", "final_accuracy", "realized_noise_rate")
            row = {name: each[name] for name in (*names, "steps", "device", "git_revision")}
            runs.append({**row, "settings": json.dumps(chosen)})
        peak = statistics.mean(each["peak_accuracy"] for each in found)
        finals = [each["final_accuracy"] for each in found]
        words = ", ".join(f"{k} {v}" for k, v in chosen.items() if v is not None)
        mean, deviation = statistics.mean(finals), statistics.stdev(finals)
        print(f"| {method} | {words} | {peak:.3f} | {mean:.3f} ± {deviation:.3f} |")
    for name, rows in [("methods.csv", runs), ("methods_tuning.csv", trials)]:
        with (output / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def main():
    root, *chosen = sys.argv[1:]
    root = pathlib.Path(root)
    if chosen[:1] == ["--tables"]:
        return write_tables(root, pathlib.Path(chosen[1]))
    for method in chosen or methods.METHODS:
        best = tuned(root, method)[0][2]
        for seed in SEEDS:
            result(root / method / f"seed{seed}", method, best, seed)


if __name__ == "__main__":
    main()

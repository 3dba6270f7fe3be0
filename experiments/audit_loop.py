"""Measures what reviewing suspicious labels is worth, on digits with 40 % wrong labels.

    python -m experiments.audit_loop runs/audit_loop docs/results/audit/loop.csv

A simulated reviewer looks at a share of the training labels, the most suspicious or random ones,
and gives each its true label. The corrected split is then trained on again: by MentorMix, which
ignores suspicious labels anyway, and plainly.
"""

import pathlib
import sys

import numpy as np

import mentormix_tf as mm
from mentormix_tf import files
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.data import examples, splits
from mentormix_tf.training.run import run

SHARES = (0.1, 0.2, 0.4)
SEEDS = (0, 1, 2)


def trained(folder, data, seed, method="mentormix"):
    chosen = {"gamma_p": "auto"} if method == "mentormix" else {}
    config = RunConfig(data, TrainingConfig(seed=seed, audit=True), method, chosen)
    return run(config, OutputConfig(str(folder)))["final_accuracy"]


def corrections(path, report, positions, truth):
    """Writes what a reviewer decides who knows the truth."""
    names, rows = report.class_names, []
    for i in positions:
        name = names[truth[report.ids[i]]]
        is_right = name == names[report.given[i]]
        rows.append([report.ids[i], "keep" if is_right else "relabel", name])
    table = files.csv_text([["id", "decision", "label"], *rows])
    files.write(path, f"# split_sha256={report.split_sha256}\n{table}")


def main(folder, path):
    rows, folder = [], pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for seed in SEEDS:
        data = DataConfig(noise_level=0.4, noise_seed=seed)
        before = accuracies(folder, "first", data, seed)
        report = mm.open_run(folder / f"first-{seed}").audit()
        stored = examples.stored(splits.prepare(data), "train").as_numpy_iterator()
        truth = {e["id"].decode(): int(e["true_label"]) for e in stored}
        orders = {
            "most suspicious": report.order(),
            "random": np.random.RandomState([seed, 3]).permutation(len(report.ids)),
        }
        rows.append({"seed": seed, "reviewed": 0.0, "which": "none", **before})
        for share in SHARES:
            for which, order in orders.items():
                chosen = order[: round(share * len(order))]
                name = f"{which.replace(' ', '_')}-{share}"
                file = folder / f"{name}-{seed}.csv"
                corrections(file, report, chosen, truth)
                corrected = DataConfig(noise_level=0.4, noise_seed=seed, corrections=str(file))
                row = {"seed": seed, "reviewed": share, "which": which}
                row["wrong_labels_found"] = sum(
                    truth[report.ids[i]] != report.given[i] for i in chosen
                )
                rows.append({**row, **accuracies(folder, name, corrected, seed)})
                print(*rows[-1].values(), flush=True)
        columns = ("seed", "reviewed", "which", "wrong_labels_found", "mentormix", "vanilla")
        files.write_csv(path, [{name: row.get(name) for name in columns} for row in rows])


def accuracies(folder, name, data, seed):
    """Final accuracies by method, of runs on a split."""
    return {
        "mentormix": trained(folder / f"{name}-{seed}", data, seed),
        "vanilla": trained(folder / f"vanilla-{name}-{seed}", data, seed, "vanilla"),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])

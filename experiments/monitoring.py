"""Trains a healthy run and three failing ones, and draws their metrics. See docs/monitoring.md.

    python -m experiments.monitoring --runs=runs/monitoring --output=docs/results/digits

Finished runs are not repeated, and interrupted ones resume.
"""

import csv
import dataclasses
import io
import pathlib
import sys

import keras
import matplotlib.figure
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.training.run import run

RUNS = {
    "healthy": ("mentormix", {}),
    "memorizing": ("vanilla", {}),
    "too trusting (gamma_p=0.95)": ("mentormix", {"gamma_p": 0.95}),
    "too strict (gamma_p=0.1)": ("mentormix", {"gamma_p": 0.1}),
}
PANELS = (
    ("v", {"mean_v_clean": "right labels", "mean_v_wrong": "wrong labels"}),
    (
        "training examples",
        {
            "train_clean_accuracy": "right labels learned",
            "train_wrong_accuracy": "wrong labels memorized",
        },
    ),
    (
        "accuracy",
        {"test_accuracy": "clean test", "validation_accuracy": "noisy validation"},
    ),
)
COLORS = ("tab:blue", "tab:red")


@dataclasses.dataclass(frozen=True)
class MonitoringConfig:
    """Where the runs and their figure go.

    Args:
        runs: folder for the runs.
        output: folder for monitoring.png and monitoring.csv.
    """

    runs: str = "runs/monitoring"
    output: str = "docs/results/digits"


def main(given: Given) -> None:
    """Trains the missing runs, and draws all."""
    config = given.config(MonitoringConfig)
    output = pathlib.Path(config.output)
    figure = matplotlib.figure.Figure((13, 11), dpi=80, layout="constrained")
    grid = figure.subplots(len(RUNS), len(PANELS) + 1, sharex="col")
    table = []
    for i, (title, (method, hyperparameters)) in enumerate(RUNS.items()):
        folder = pathlib.Path(config.runs) / f"{i}_{method}"
        rows = trained(folder, method, hyperparameters)
        table += [{"run": title, **row} for row in rows]
        draw(grid[i], title, rows, folder)
    for axes in grid[-1][:-1]:
        axes.set_xlabel("step")
    grid[-1][-1].set_xlabel("loss (nats)")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    (output / "monitoring.png").write_bytes(picture.getvalue())
    names = list(dict.fromkeys(name for row in table for name in row))
    with (output / "monitoring.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(table)


def trained(folder, method, hyperparameters):
    """Trains a run if need be, and returns the rows of its metrics.csv as dicts of numbers."""
    keras.utils.clear_session()
    config = RunConfig(
        data=DataConfig(validation_fraction=0.1),
        training=TrainingConfig(eval_every=50),
        method=method,
        hyperparameters=hyperparameters,
    )
    run(config, OutputConfig(model_dir=str(folder)))
    with (folder / "metrics.csv").open() as file:
        return [{k: v and float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def draw(axes, title, rows, folder):
    """Draws a run: a panel for each of `PANELS`, and one for the losses at its end."""
    steps = [row["step"] for row in rows]
    axes[0].set_ylabel(title, fontweight="bold")
    for panel, (name, curves) in zip(axes, PANELS, strict=False):
        panel.set(title=name, ylim=(-0.02, 1.02))
        for (column, label), color in zip(curves.items(), COLORS, strict=True):
            if column in rows[0]:
                panel.plot(steps, [row[column] for row in rows], color=color, label=label)
        if panel.lines:
            panel.legend(loc="center right")
        else:
            panel.text(300, 0.5, "no mentor", ha="center", va="center")
    axes[-1].set_title("training losses at the end")
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    for name, label, color in zip(("clean", "wrong"), PANELS[0][1].values(), COLORS, strict=True):
        last = events.Tensors(f"loss_of_training_examples/{name}")[-1]
        left, right, count = tf.make_ndarray(last.tensor_proto).T
        middle = (left + right) / 2
        style = dict(bins=30, range=(0, 6), color=color, alpha=0.6, label=label)
        axes[-1].hist(middle, weights=count, **style)
    axes[-1].set_yscale("symlog")
    axes[-1].legend()


if __name__ == "__main__":
    sections = [Section("The pictures", MonitoringConfig)]
    sys.exit(command.run(main, "Trains four runs, and draws their metrics.", sections))

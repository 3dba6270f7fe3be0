"""Trains a healthy run and three ill ones, and draws what they show. See docs/monitoring.md.

    python -m experiments.monitoring --runs=runs/monitoring --output=docs/results/digits

Runs that are done are not run again, and one that was cut short goes on.
"""

import csv
import dataclasses
import io
import pathlib

import keras
import matplotlib.figure
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mentormix_tf import command
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.training.run import run

RUNS = {
    "healthy": ("mentormix", {}),
    "memorising": ("vanilla", {}),
    "too trusting (gamma_p=0.95)": ("mentormix", {"gamma_p": 0.95}),
    "too strict (gamma_p=0.1)": ("mentormix", {"gamma_p": 0.1}),
}
PANELS = (
    ("v", {"mean_v_clean": "right labels", "mean_v_wrong": "wrong labels"}),
    (
        "training examples",
        {
            "train_clean_accuracy": "right labels learned",
            "train_wrong_accuracy": "wrong labels memorised",
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
    """Where things go.

    Args:
        runs: folder of the runs.
        output: folder for monitoring.png and monitoring.csv.
    """

    runs: str = "runs/monitoring"
    output: str = "docs/results/digits"


def main():
    """Trains what is missing, and draws it."""
    config = command.read_config(MonitoringConfig)
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
    """The rows of a run's metrics.csv, as dicts of numbers or None."""
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
    """Draws a run, a panel for each of `PANELS` and one for its losses at the end."""
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


command.define_config("The pictures", MonitoringConfig)

if __name__ == "__main__":
    command.run(main, "Trains a healthy run and ill ones, and draws what they show.")

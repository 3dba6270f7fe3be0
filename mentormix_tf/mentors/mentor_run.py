"""Trains MentorNet-PD and writes its weights and their agreement with the curriculum."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from mentormix_tf.errors import InputError
from mentormix_tf.mentors import curriculum
from mentormix_tf.mentors.mentornet_pd import read_weights

__all__ = ["WEIGHTS", "table", "train_mentor"]

WEIGHTS = "mentornet_pd.npz"


def train_mentor(
    output: str, steps: int, learning_rate: float, seed: int, checkpoint: str = ""
) -> dict[str, Any]:
    """Trains a network on the curriculum, or reads one, and writes it and its agreement.

    Args:
        output: new folder for mentornet_pd.npz, agreement.json and curriculum.png.
        steps: see `curriculum.teach`.
        learning_rate: see `curriculum.teach`.
        seed: see `curriculum.teach`.
        checkpoint: if given, this network is measured instead of training one; see `read_weights`.

    Returns:
        The contents of agreement.json.

    Raises:
        InputError: the output exists or can't be written, or the checkpoint can't be read.
    """
    folder = pathlib.Path(output)
    if folder.exists():
        raise InputError(f"output={folder} exists already: name a new folder.")
    settings: dict[str, Any]
    if checkpoint:
        network = read_weights(checkpoint)
        settings = {"checkpoint": pathlib.Path(checkpoint).name}
    else:
        network = curriculum.teach(steps, learning_rate, seed)
        settings = {"steps": steps, "learning_rate": learning_rate, "seed": seed}
    positions = curriculum.step_positions(network)
    result = {
        **settings,
        "agreement": curriculum.agreement(network),
        "step_at": {"min": positions.min(), "mean": positions.mean(), "max": positions.max()},
        "versions": {module.__name__: module.__version__ for module in (tf, keras, np)},
    }
    try:
        folder.mkdir(parents=True)
        np.savez(folder / WEIGHTS, **network)  # pyright: ignore[reportArgumentType]
        _picture(network).savefig(folder / "curriculum.png", dpi=100)
        (folder / "agreement.json").write_text(json.dumps(result, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"output={folder} can't be written: {error.strerror}.") from error
    return result


def table(result: Mapping[str, Any]) -> str:
    """Formats a network's agreement with the curriculum as text.

    Args:
        result: the contents of agreement.json.
    """
    lines = [f"{'v against the curriculum':<36}{'points':>9}{'in 0.1':>9}{'mean':>9}{'largest':>9}"]
    for row in result["agreement"]:
        lines.append(
            f"{row['part']:<36}{row['points']:>9,}{row['share_within_0.1']:>9.2%}"
            f"{row['mean_abs_error']:>9.5f}{row['largest_error']:>9.3f}"
        )
    step = result["step_at"]
    where = f"{step['mean']:.3f} ({step['min']:.3f} to {step['max']:.3f})"
    return "\n".join([*lines, f"v falls through 1/2 at loss - γ = {where}"])


def _picture(network):
    """Plots v against loss - γ for a loss of 2, in stages before the ramp and on it."""
    differences = np.linspace(-1, 2, 601)
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, stages in zip(axes, [(10, 79), (85, 95)], strict=True):
        for stage in stages:
            each = np.full(differences.shape, stage)
            v = curriculum.answers(network, np.full(differences.shape, 2.0), differences, each)
            axis.plot(differences, v, label=f"progress {stage}")
        expected = curriculum.target(differences, each)
        axis.plot(differences, expected, "k--", linewidth=1, label="curriculum")
        axis.set_xlabel("loss - γ")
        axis.legend()
    axes[0].set_ylabel("v")
    return figure

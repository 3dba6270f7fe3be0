"""python -m mentormix_tf.teach: teaches MentorNet-PD its curriculum, says how well it knows it."""

import dataclasses
import json
import math
import pathlib

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from mentormix_tf import command
from mentormix_tf.errors import InputError
from mentormix_tf.mentors import curriculum
from mentormix_tf.mentors.mentornet_pd import read_weights


@dataclasses.dataclass(frozen=True)
class TeachConfig:
    """How MentorNet-PD is taught.

    Args:
        output: new folder for mentornet_pd.npz (the weights), agreement.json and curriculum.png.
        steps: number of batches of 32.
        learning_rate: Adam's, at the start; it falls by a tenth each 1000 steps. (The published
            0.1 leaves most of the ramp a step.)
        seed: of the initial weights and of the examples.
        checkpoint: examine the network of this checkpoint (.npz, or the path of a TF1 checkpoint
            without .index) and teach none.

    Raises:
        InputError: a value outside its range.
    """

    output: str = "runs/mentornet_pd"
    steps: int = 30_000
    learning_rate: float = 0.01
    seed: int = 0
    checkpoint: str = ""

    def __post_init__(self):
        if self.steps < 1:
            raise InputError(f"steps={self.steps} must be at least 1.")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(f"learning_rate={self.learning_rate} must be a positive number.")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed={self.seed} must lie in [0, 2^32).")


def main():
    """Does what the flags say, and prints how the network agrees with its curriculum."""
    config = command.read_config(TeachConfig)
    tf.config.experimental.enable_op_determinism()
    print(_report(config.output, run(config)))


def run(config):
    """Teaches a network, or reads one, and writes it and how it agrees with its curriculum.

    Args:
        config: `TeachConfig`.

    Returns:
        The contents of agreement.json, a dict.

    Raises:
        InputError: the output exists or can't be written, or the checkpoint can't be read.
    """
    folder = pathlib.Path(config.output)
    if folder.exists():
        raise InputError(f"output={folder} exists already: name a new folder.")
    if config.checkpoint:
        network = read_weights(config.checkpoint)
        settings = {"checkpoint": pathlib.Path(config.checkpoint).name}
    else:
        network = curriculum.teach(config.steps, config.learning_rate, config.seed)
        settings = {name: getattr(config, name) for name in ("steps", "learning_rate", "seed")}
    steps = curriculum.step_positions(network)
    result = {
        **settings,
        "agreement": curriculum.agreement(network),
        "step_at": {"min": steps.min(), "mean": steps.mean(), "max": steps.max()},
        "versions": {module.__name__: module.__version__ for module in (tf, keras, np)},
    }
    try:
        folder.mkdir(parents=True)
        np.savez(folder / "mentornet_pd.npz", **network)
        _picture(network).savefig(folder / "curriculum.png", dpi=100)
        (folder / "agreement.json").write_text(json.dumps(result, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"output={folder} can't be written: {error.strerror}.") from error
    return result


def _report(folder, result):
    lines = [f"{'v against the curriculum':<36}{'points':>9}{'in 0.1':>9}{'mean':>9}{'largest':>9}"]
    for row in result["agreement"]:
        lines.append(
            f"{row['part']:<36}{row['points']:>9,}{row['share_within_0.1']:>9.2%}"
            f"{row['mean_abs_error']:>9.5f}{row['largest_error']:>9.3f}"
        )
    step = result["step_at"]
    where = f"{step['mean']:.3f} ({step['min']:.3f} to {step['max']:.3f})"
    return "\n".join([*lines, f"v falls through 1/2 at loss - γ = {where}", f"In {folder}/"])


def _picture(network):
    """v against loss - γ at a loss of 2, before the ramp's stages and in them."""
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


command.define_config("The network", TeachConfig)

if __name__ == "__main__":
    command.run(main, "Teaches MentorNet-PD its curriculum, and says how well it knows it.")

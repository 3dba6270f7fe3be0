"""Training one method after another on the same data, and how each ended."""

import dataclasses
import datetime
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from etils import epath

from mentormix_tf.config import DataConfig, OutputConfig, RunConfig
from mentormix_tf.distribution import strategies
from mentormix_tf.runs.run_folder import RunFolder
from mentormix_tf.training import dry_run
from mentormix_tf.training.run import run

_log = logging.getLogger(__name__)


def folders(runs: Mapping[str, RunConfig], output: OutputConfig) -> dict[str, OutputConfig]:
    """Says where each run goes, and makes sure that it may.

    Args:
        runs: by method; complete, see `run.resolve`.
        output: where they go together. A single run goes right there, several into a folder each.

    Returns:
        An `OutputConfig` for each method.

    Raises:
        InputError: a folder holds another run.
    """
    root = epath.Path(output.model_dir or f"runs/{datetime.datetime.now():%Y-%m-%d-%H-%M-%S}")
    root = root.expanduser()
    found = {method: root / method if len(runs) > 1 else root for method in runs}
    for method, folder in found.items():
        RunFolder(folder, runs[method]).check(output.resume)
    return {k: dataclasses.replace(output, model_dir=str(path)) for k, path in found.items()}


def train(
    runs: Mapping[str, RunConfig],
    outputs: Mapping[str, OutputConfig],
    strategy: tf.distribute.Strategy,
) -> list[dict[str, Any]]:
    """Trains each run. With several workers, each calls it, and the first logs.

    Args:
        runs: by method; complete, see `run.resolve`.
        outputs: the same; see `folders`.
        strategy: where to train.

    Returns:
        The contents of each result.json.
    """
    results = []
    for method, config in runs.items():
        if strategies.is_chief(strategy):
            _log.info(
                "Training %s on %s; results go to %s/",
                *(method, describe(config.data), outputs[method].model_dir),
            )
        results.append(run(config, outputs[method], strategy))
    return results


def try_out(
    runs: Mapping[str, RunConfig],
    outputs: Mapping[str, OutputConfig],
    strategy: tf.distribute.Strategy,
) -> str:
    """Tries a few steps of each run. Returns what they would take, as text."""
    texts = []
    for method, config in runs.items():
        facts = dry_run.dry_run(config, outputs[method], strategy)
        texts.append(f"{method} on {describe(config.data)}\n{dry_run.describe(facts)}")
    return "\n".join(texts)


def describe(data: DataConfig) -> str:
    """Says what a run trains on, as in "digits with 40% symmetric label noise"."""
    if data.noise == "none":
        return f"{data.dataset} with its labels as they are"
    level = "" if data.noise_level is None else f"{data.noise_level:.0%} "
    return f"{data.dataset} with {level}{data.noise} label noise"


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """The results as text, a row each; accuracies are on clean test labels."""
    row = "{:<14}{:>8}{:>8}{:>8}{:>10}{:>10}".format
    lines = ["", row("method", "peak", "final", "drop", "noise", "images/s")]
    for result in results:
        speed, noise = result["images_per_second"], result["realized_noise_rate"]
        lines.append(
            row(
                result["method"],
                f"{result['peak_accuracy']:.3f}",
                f"{result['final_accuracy']:.3f}",
                f"{result['accuracy_drop']:.3f}",
                "unknown" if noise is None else f"{noise:.1%}",
                "-" if speed is None else f"{speed:,.0f}",
            )
        )
    return "\n".join(
        [*lines, "", "peak, final: accuracy on clean test labels; noise: wrong training labels"]
    )

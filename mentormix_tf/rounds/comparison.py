"""Trains one method after another on the same data, and tabulates their results."""

import dataclasses
import datetime
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from mentormix_tf import files
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig
from mentormix_tf.data.service import NO_SERVERS, Servers
from mentormix_tf.distribution import strategies
from mentormix_tf.rounds.run import run
from mentormix_tf.runs.run_folder import RunFolder
from mentormix_tf.training import dry_run
from mentormix_tf.training.run import short_errors

__all__ = ["describe", "folders", "table", "train", "try_out"]

_log = logging.getLogger(__name__)


def folders(runs: Mapping[str, RunConfig], output: OutputConfig) -> dict[str, OutputConfig]:
    """Chooses the folder of each run, and checks that the run may write to it.

    Args:
        runs: the configs by method, completed by `defaults.resolve`.
        output: where the runs go. A single run uses its `model_dir` itself; each of several uses a
            folder in it.

    Returns:
        An `OutputConfig` for each method.

    Raises:
        InputError: a folder holds another run.
    """
    default = f"runs/{datetime.datetime.now():%Y-%m-%d-%H-%M-%S-%f}"
    root = files.expanded(output.model_dir or default, "model_dir")
    found = {method: root / method if len(runs) > 1 else root for method in runs}
    for method, folder in found.items():
        RunFolder(folder, runs[method]).check(output.resume)
    return {k: dataclasses.replace(output, model_dir=str(path)) for k, path in found.items()}


def train(
    runs: Mapping[str, RunConfig],
    outputs: Mapping[str, OutputConfig],
    strategy: tf.distribute.Strategy,
    servers: Servers = NO_SERVERS,
) -> list[dict[str, Any]]:
    """Trains each run. With several workers, each calls it, and the first logs.

    Args:
        runs: the configs by method, completed by `defaults.resolve`.
        outputs: the outputs by method, from `folders`.
        strategy: the devices to train on.
        servers: what makes the training batches instead of this process.

    Returns:
        The contents of each result.json; none in a worker that does not write them.

    Raises:
        InputError, Preempted: see `run.run`.
    """
    _check_same(runs, strategy)
    results = []
    for method, config in runs.items():
        if strategies.is_chief(strategy):
            _log.info(
                "Training %s on %s; results go to %s/",
                *(method, describe(config.data), outputs[method].model_dir),
            )
        result = run(config, outputs[method], strategy, servers)
        if result is not None:
            results.append(result)
    return results


def try_out(
    runs: Mapping[str, RunConfig],
    outputs: Mapping[str, OutputConfig],
    strategy: tf.distribute.Strategy,
    servers: Servers = NO_SERVERS,
) -> str:
    """Tries a few steps of each run, see `dry_run.dry_run`.

    Args:
        runs: the configs by method, completed by `defaults.resolve`.
        outputs: the outputs by method, from `folders`.
        strategy: the devices to train on.
        servers: what makes the training batches instead of this process.

    Returns:
        The findings as text, such as the time and the disk space that each run needs.

    Raises:
        InputError: see `dry_run.dry_run`.
    """
    _check_same(runs, strategy)
    texts = []
    for method, config in runs.items():
        facts = dry_run.dry_run(config, outputs[method], strategy, servers)
        texts.append(f"{method} on {describe(config.data)}\n{dry_run.describe(facts)}")
    return "\n".join(texts)


def _check_same(runs, strategy):
    """Checks that all workers train the same methods; their flags are checked with each run."""
    with short_errors(next(iter(runs.values())), strategy):
        strategies.check_same(strategy, {"methods": ",".join(runs)})


def describe(data: DataConfig) -> str:
    """Describes a run's data, as in "digits with 40% symmetric label noise"."""
    if data.noise == "none":
        return f"{data.dataset} without added label noise"
    level = "" if data.noise_level is None else f"{data.noise_level:.0%} "
    return f"{data.dataset} with {level}{data.noise} label noise"


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """Formats results as a table.

    Args:
        results: the contents of each run's result.json.
    """
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

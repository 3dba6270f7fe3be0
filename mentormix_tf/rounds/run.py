"""Trains a run, and before it the rounds that its config asks for."""

import contextlib
import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from etils import epath

from mentormix_tf import files
from mentormix_tf.config import OutputConfig, RunConfig
from mentormix_tf.data import examples
from mentormix_tf.data.service import NO_SERVERS, Servers
from mentormix_tf.distribution import agreement, strategies
from mentormix_tf.errors import InputError
from mentormix_tf.rounds.rounds_folder import RoundsFolder
from mentormix_tf.runs import defaults, layout
from mentormix_tf.runs.run_folder import RunFolder
from mentormix_tf.training import run as training_run
from mentormix_tf.training.run import BeforeRun

__all__ = ["KINDS", "run"]

# Modules of this folder with `check` and `prepare`, imported when they are used.
KINDS = ("incv", "confusion", "curriculum_net", "clean_net")


def run(
    config: RunConfig,
    output: OutputConfig,
    strategy: tf.distribute.Strategy | None = None,
    servers: Servers = NO_SERVERS,
) -> dict[str, Any] | None:
    """Trains as a config says, its rounds first; resumes wherever an earlier call stopped.

    Args:
        config: the run.
        output: where results go. Each round is an ordinary run in a folder of its model_dir, see
            `rounds_folder.py`.
        strategy: the devices to train on; None for TensorFlow's default, one device.
        servers: what makes the training batches instead of this process.

    Returns:
        The contents of result.json, see `training.run.run`.

    Raises:
        InputError: see `training.run.run`; or a half of the examples is too small to train on.
        Preempted: the process received SIGTERM, and a checkpoint was saved.
    """
    config = defaults.resolve(config)
    strategy = strategy or tf.distribute.get_strategy()
    if config.rounds.rounds == "none":
        return training_run.run(config, output, strategy, servers=servers)
    with training_run.short_errors(config, strategy):
        strategies.check_same(strategy, agreement.facts(config, output, dry_run="false"))
        folder = training_run.check(config, output, strategy)
        output = dataclasses.replace(output, resume="auto")  # it holds the rounds from now on
        if strategies.all_agree(strategy, folder.result() is not None) and folder.result():
            return training_run.run(config, output, strategy, servers=servers)
        before = _before(config, output, strategy, folder, servers)
    with _quiet_tensorflow():
        return training_run.run(config, output, strategy, before, servers)


def _before(config, output, strategy, folder, servers):
    """Trains the rounds, unless they are done, and returns what the run gets of them."""
    path, is_chief = folder.path / layout.ROUNDS, strategies.is_chief(strategy)
    RunFolder(path, config).check()
    kind = importlib.import_module(f"mentormix_tf.rounds.{config.rounds.rounds}")
    # Built once before the rounds, so that what is wrong with it does not show after hours.
    data = training_run.Setup(config, strategy).data
    columns = examples.columns(data, "train", ["label", "is_clean", "verified"])
    kept = slice(None) if data.kept is None else data.kept
    shown = {name: columns[name][kept] for name in ("label", "verified")}
    kind.check(config, data, shown)
    if is_chief:
        _make(path, config)
    strategies.wait_for_all(strategy)
    busy = f"{path} is being written by another process: wait for it, or name a new model_dir."
    lock = files.lock(path, busy) if is_chief else contextlib.nullcontext()
    with lock, _quiet_tensorflow():
        count = config.rounds.num_rounds()
        rounds = RoundsFolder(path, _round(config), output, strategy, data, count, servers)
        found = kind.prepare(rounds, config)
        chooses = found.keep is not None or found.weights is not None
        selected = rounds.write("selected", found) if chooses else ""
    knows_truth = data.manifest["realized_noise_rate"] is not None
    facts: Mapping[str, Any] = {
        "rounds": config.rounds.rounds,
        "selection_steps": rounds.steps,
        "selection_share": rounds.steps / (rounds.steps + config.training.train_steps),
        **found.facts,
        **(_quality(found, columns["is_clean"] == 1) if knows_truth else {}),
    }
    return BeforeRun(str(selected), found.transition_matrix, facts)


def _quality(found, is_right):
    """What true labels say of a choice of examples, which was made without them."""
    facts = {}
    if found.keep is not None and found.keep.any() and is_right.any():
        facts["selection_precision"] = float(is_right[found.keep].mean())
        facts["selection_recall"] = float(found.keep[is_right].mean())
    if found.weights is not None and 0 < is_right.sum() < len(is_right):
        facts["mean_weight_of_right_labels"] = float(found.weights[is_right].mean())
        facts["mean_weight_of_wrong_labels"] = float(found.weights[~is_right].mean())
    if found.starts is not None:
        stages = [is_right[found.starts == start] for start in np.unique(found.starts)]
        facts["stage_noise_rates"] = [float(1.0 - each.mean()) for each in stages]
    return facts


@contextlib.contextmanager
def _quiet_tensorflow():
    """A context without TensorFlow's warning that functions are traced anew: each round's are."""
    log = tf.get_logger()

    def is_shown(record):
        return "triggered tf.function retracing" not in record.getMessage()

    log.addFilter(is_shown)
    try:
        yield
    finally:
        log.removeFilter(is_shown)


def _make(path: epath.Path, config: RunConfig) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} can't be made: {files.reason(error)}.") from error
    files.write(path / layout.FLAGS, config.flagfile())


def _round(config: RunConfig) -> RunConfig:
    """The config of a round: plain training of the same network, for its own number of steps."""
    training, steps = config.training, config.steps_of_a_round()
    own = dataclasses.replace(
        training,
        train_steps=steps,
        eval_every=steps,
        warmup_steps=min(training.warmup_steps, steps - 1),
        ema_decay=0.0,
        audit=False,
        inference="softmax",
    )
    return RunConfig(config.data, own, "vanilla", {})

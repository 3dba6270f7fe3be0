"""Trains a run, and before it the rounds that its config asks for."""

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from etils import epath

from mentormix_tf import files
from mentormix_tf.config import OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.data import examples
from mentormix_tf.distribution import agreement, strategies
from mentormix_tf.errors import InputError
from mentormix_tf.rounds import incv, rounds_folder
from mentormix_tf.rounds.rounds_folder import RoundsFolder
from mentormix_tf.runs import layout
from mentormix_tf.runs.run_folder import RunFolder
from mentormix_tf.training import run as training_run

__all__ = ["run"]


def run(
    config: RunConfig, output: OutputConfig, strategy: tf.distribute.Strategy | None = None
) -> dict[str, Any] | None:
    """Trains as a config says, its rounds first; resumes wherever an earlier call stopped.

    Args:
        config: the run.
        output: where results go. Each round is an ordinary run in a folder of its model_dir, see
            `rounds_folder.py`.
        strategy: the devices to train on; None for TensorFlow's default, one device.

    Returns:
        The contents of result.json, see `training.run.run`.

    Raises:
        InputError: see `training.run.run`; or a half of the examples is too small to train on.
        Preempted: the process received SIGTERM, and a checkpoint was saved.
    """
    config = training_run.resolve(config)
    strategy = strategy or tf.distribute.get_strategy()
    if config.training.rounds == "none":
        return training_run.run(config, output, strategy)
    with training_run.short_errors(config, strategy):
        strategies.check_same(strategy, agreement.facts(config, output, dry_run="false"))
        folder = training_run.check(config, output, strategy)
        output = dataclasses.replace(output, resume="auto")  # it holds the rounds from now on
        if strategies.all_agree(strategy, folder.result() is not None) and folder.result():
            return training_run.run(config, output, strategy)
        examples_file, facts = _selected(config, output, strategy, folder)
    with _quiet_tensorflow():
        return training_run.run(config, output, strategy, str(examples_file), facts)


def _selected(config, output, strategy, folder):
    """The examples file that INCV makes, and what result.json says of it."""
    path, is_chief = folder.path / layout.ROUNDS, strategies.is_chief(strategy)
    RunFolder(path, config).check()
    # Built once before the rounds, so that what is wrong with it does not show after hours.
    data = training_run.Setup(config, strategy).data
    columns = examples.columns(data, "train", ["label", "is_clean"])
    kept = slice(None) if data.kept is None else data.kept
    rounds_folder.check_room(config, data, columns["label"][kept])
    if is_chief:
        _make(path, config)
    strategies.wait_for_all(strategy)
    busy = f"{path} is being written by another process: wait for it, or name a new model_dir."
    lock = files.lock(path, busy) if is_chief else contextlib.nullcontext()
    with lock, _quiet_tensorflow():
        training = config.training
        each = _round(config)
        rounds = RoundsFolder(path, each, output, strategy, data, training.num_rounds())
        found = incv.select(
            rounds.train,
            rounds.labels,
            len(data.class_names),
            data.kept,
            iterations=training.incv_iterations,
            noise=training.incv_noise,
            seed=training.seed,
        )
        _check_enough(found.chosen.sum(), config)
        selected = rounds.write("selected", found.chosen)
    knows_truth = data.manifest["realized_noise_rate"] is not None
    facts: Mapping[str, Any] = {
        "rounds": training.rounds,
        "selection_steps": rounds.steps,
        "selection_share": rounds.steps / (rounds.steps + training.train_steps),
        **incv.facts(found, columns["is_clean"] if knows_truth else None),
    }
    return selected, facts


def _check_enough(count, config):
    training = config.training
    if count < training.batch_size:
        raise InputError(
            f"rounds={training.rounds} chose {count} examples, less than batch_size="
            f"{training.batch_size}: let the rounds learn more, in a new folder with more than "
            f"--incv_steps={training.steps_of_a_round()}."
        )


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
    training = config.training
    steps = training.steps_of_a_round()
    own = dataclasses.replace(
        training,
        rounds="none",
        incv_iterations=TrainingConfig.incv_iterations,
        incv_steps=TrainingConfig.incv_steps,
        incv_noise=TrainingConfig.incv_noise,
        train_steps=steps,
        eval_every=steps,
        warmup_steps=min(training.warmup_steps, steps - 1),
        ema_decay=0.0,
        audit=False,
        inference="softmax",
    )
    return RunConfig(config.data, own, "vanilla", {})

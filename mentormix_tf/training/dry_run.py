"""A dry run: everything that a run does, for a few steps and without writing to its folder."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from mentormix_tf.config import OutputConfig, RunConfig
from mentormix_tf.data.service import NO_SERVERS, Servers
from mentormix_tf.distribution import agreement, strategies
from mentormix_tf.errors import InputError
from mentormix_tf.runs import defaults
from mentormix_tf.training import checkpoints
from mentormix_tf.training.run import Setup, check, short_errors

__all__ = ["TIMED", "describe", "dry_run", "human_time"]

TIMED = 5  # executions that are timed, after the first, which waits for the compiler


def dry_run(
    config: RunConfig,
    output: OutputConfig,
    strategy: tf.distribute.Strategy | None = None,
    servers: Servers = NO_SERVERS,
) -> dict[str, Any]:
    """Checks that a run would work, and estimates the time and disk space that it needs.

    Prepares the data if it is missing, builds the network, trains for a few steps and evaluates two
    batches, with the run's own code. With several workers, each calls it.

    Args:
        config: the run.
        output: the run's output; its model_dir is checked, and nothing is written there.
        strategy: the devices to train on; None for TensorFlow's default, one device.
        servers: what makes the training batches instead of this process.

    Returns:
        `network`, `parameters` (the number that is trained), `image_shape`, `examples` (by split),
        `realized_noise_rate` (None if unknown), `first_seconds` (of the first execution, with
        compilation), `step_seconds`, `batch_size`, `steps`, `evaluations`, `run_seconds` (the
        estimate for the whole run, without checkpoints), `rounds` (how many trainings come before
        it), `round_steps` (of each of them), `checkpoint_bytes` (of each checkpoint) and
        `checkpoints` (how many are kept).

    Raises:
        InputError: see `run.run`.
    """
    config = defaults.resolve(config)
    strategy = strategy or tf.distribute.get_strategy()
    with short_errors(config, strategy):
        strategies.check_same(strategy, agreement.facts(config, output, dry_run="true"))
        check(config, output, strategy)
        setup = Setup(config, strategy, servers=servers)
        with servers.connected():
            first, later = _timed_training(setup)
        evaluation = setup.evaluation()
        evaluation.first_batch()  # waits for the compiler
        batch_seconds, _ = _timed(evaluation.first_batch)
        strategies.wait_for_all(strategy)
    training, data = config.training, setup.data
    step_seconds = later / training.steps_per_execution
    evaluations = max(1, training.train_steps // training.eval_every)
    return {
        "network": training.network,
        "parameters": _size(setup.model.network.trainable_weights),
        "image_shape": setup.image_shape,
        "examples": {
            split: data.num_examples(split) if split in data else 0
            for split in ("train", "validation", "test")
        },
        "realized_noise_rate": data.manifest["realized_noise_rate"],
        "first_seconds": first,
        "step_seconds": step_seconds,
        "batch_size": training.batch_size,
        "steps": training.train_steps,
        "evaluations": evaluations,
        "run_seconds": first
        + (training.train_steps - training.steps_per_execution) * step_seconds
        + evaluations * evaluation.num_batches() * batch_seconds,
        "rounds": config.rounds.num_rounds(),
        "round_steps": config.steps_of_a_round(),
        "checkpoint_bytes": sum(
            _size([variable]) * variable.dtype.size
            for part in checkpoints.variables(setup.model).values()
            for variable in part
        ),
        "checkpoints": output.keep_checkpoints + ("validation" in data),
    }


def describe(facts: Mapping[str, Any]) -> str:
    """Formats what `dry_run` returns as lines of text."""
    first, step = facts["first_seconds"], facts["step_seconds"]
    noise, size = facts["realized_noise_rate"], facts["checkpoint_bytes"] / 1e6
    shape = " x ".join(map(str, facts["image_shape"]))
    counts = ", ".join(f"{count:,} {split}" for split, count in facts["examples"].items())
    wrong = "an unknown share" if noise is None else f"{noise:.1%}"
    lines = {
        "network": f"{facts['network']}, {facts['parameters']:,} parameters, images {shape}",
        "images": counts,
        "noise": f"{wrong} of the training labels are wrong",
        "step": f"{step:.3g} s, {facts['batch_size'] / step:,.0f} images/s; "
        f"the first takes {first:.0f} s",
        "whole run": f"about {human_time(facts['run_seconds'])}: {facts['steps']:,} steps and "
        f"{facts['evaluations']:,} evaluation{'s' * (facts['evaluations'] > 1)}, without the time "
        "for checkpoints",
        **_rounds(facts),
        "checkpoints": f"{size:,.1f} MB each, {facts['checkpoints']} of them are kept",
    }
    return "\n".join(f"  {name:<13}{text}" for name, text in lines.items())


def _rounds(facts):
    """What there is to say of rounds before the run."""
    if not facts["rounds"]:
        return {}
    steps = facts["rounds"] * facts["round_steps"]
    time = human_time(steps * facts["step_seconds"])
    return {"rounds": f"{facts['rounds']} before the run, {steps:,} steps in all, about {time}"}


def human_time(seconds: float) -> str:
    """Formats a duration in two units, as in "3 h 12 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours = round(seconds / 3600)
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} d {hours % 24} h"


def _timed_training(setup):
    """The seconds of the first execution of steps, and the mean of the next ones."""
    model, training = setup.model, setup.config.training
    model.begin_training(training.train_steps)
    advance, batches = model.make_training_loop(), iter(setup.train_batches(0))
    seconds = []
    for _ in range(1 + TIMED):
        taken, loss = _timed(lambda: float(advance(batches)[0]["loss"]))
        seconds.append(taken)
        if not np.isfinite(loss):
            raise InputError(
                f"The loss became {loss} within {len(seconds) * training.steps_per_execution} "
                f"steps: learning_rate={training.learning_rate} is too high (try a tenth of it), "
                "or images hold NaN."
            )
    return seconds[0], sum(seconds[1:]) / TIMED


def _timed(function):
    """The seconds that a function takes, and what it returns."""
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result


def _size(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)

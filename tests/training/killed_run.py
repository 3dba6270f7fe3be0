"""A run that is killed repeatedly, for `test_resume.py`.

Trains once without interruption. Then trains again, with a SIGKILL at random moments, every second
one soon after a save has started, and restarts until the run is done. Both must leave the same
results.

    python -m tests.training.killed_run DATA_DIR FOLDER METHOD REPLICAS KILLS SEED
"""

import csv
import functools
import itertools
import json
import os
import pathlib
import random
import signal
import sys
import threading
import time

import numpy as np
import tensorflow as tf  # imported, but not used until all processes are forked

from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, StrategyConfig, TrainingConfig
from mentormix_tf.distribution import strategies
from mentormix_tf.training.run import run

NOT_COMPARED = ("images_per_second", "input_wait", "git_revision")


def config(data_dir, method):
    return RunConfig(
        data=DataConfig(data_dir=data_dir, validation_fraction=0.1),
        training=TrainingConfig(
            batch_size=64, train_steps=40, eval_every=20, ema_decay=0.9, audit=True
        ),
        method=method,
        hyperparameters={"second_reweight": True} if method == "mentormix" else {},
    )


def started(data_dir, folder, method, replicas, dies_after=None):
    """Trains in a new process, and returns its id.

    The process kills itself `dies_after` seconds after the start of its second save, if given.
    """
    process = os.fork()
    if process:
        return process
    if dies_after is not None:
        save, saves = tf.train.CheckpointManager.save, itertools.count(1)

        def save_and_die(*arguments, **options):
            if next(saves) == 2:
                kill = functools.partial(os.kill, os.getpid(), signal.SIGKILL)
                threading.Timer(dies_after, kill).start()
            return save(*arguments, **options)

        tf.train.CheckpointManager.save = save_and_die
    virtual = {"strategy": "mirrored", "num_virtual_devices": replicas} if replicas > 1 else {}
    strategy = strategies.get(StrategyConfig(**virtual))
    # Saves between evaluations, too, when the metrics' sums are not zero.
    output = OutputConfig(model_dir=str(folder), checkpoint_every=7)
    run(config(data_dir, method), output, strategy)
    os._exit(0)


def was_killed(process, seconds):
    """Kills a process after some time; returns whether a kill ended it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            assert status in (0, signal.SIGKILL), status
            return status == signal.SIGKILL
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(process, 0)[1])


def is_saving(folder):
    """Whether there are files of an incomplete checkpoint."""
    names = {path.name for path in (folder / "checkpoints").glob("step-*")}
    return any(f"{name.split('.')[0]}.index" not in names for name in names)


def left(folder):
    """A run's results, except measured times and the Git revision, which may differ."""
    with (folder / "metrics.csv").open() as file:
        rows = [
            {k: v for k, v in row.items() if k not in NOT_COMPARED} for row in csv.DictReader(file)
        ]
    result = json.loads((folder / "result.json").read_text())
    values = {}
    for part in ("", "best"):
        path = tf.train.latest_checkpoint(folder / "checkpoints" / part)
        reader = tf.train.load_checkpoint(path)
        for name in reader.get_variable_to_shape_map():
            if name.endswith("VARIABLE_VALUE"):
                values[part, pathlib.Path(path).name, name] = reader.get_tensor(name)
    if (folder / "examples.npz").exists():
        with np.load(folder / "examples.npz") as examples:
            values |= {("examples", "", name): examples[name] for name in examples.files}
    return rows, {k: v for k, v in result.items() if k not in NOT_COMPARED}, values


def main(data_dir, folder, method, replicas, kills, seed):
    generator, folder = random.Random(int(seed)), pathlib.Path(folder)
    peaceful, killed = folder / "peaceful", folder / "killed"
    began = time.monotonic()
    assert os.waitpid(started(data_dir, peaceful, method, int(replicas)), 0)[1] == 0
    seconds = time.monotonic() - began

    count, while_saving = 0, 0
    while count < int(kills):
        in_a_save = count % 2 == 0
        # A save takes some ten milliseconds.
        dies_after = generator.uniform(0.0, 0.05) if in_a_save else None
        began = time.monotonic()
        process = started(data_dir, killed, method, int(replicas), dies_after)
        if was_killed(process, seconds * (2.0 if in_a_save else generator.uniform(0.4, 1.1))):
            count += 1
            while_saving += is_saving(killed)
        else:  # it finished before the kill: again from the start, and to be killed earlier
            seconds = min(seconds, time.monotonic() - began)
            killed.rename(folder / f"done{time.monotonic()}")
    assert os.waitpid(started(data_dir, killed, method, int(replicas)), 0)[1] == 0

    (rows, result, values), (rows2, result2, values2) = left(peaceful), left(killed)
    assert rows == rows2 and [row["step"] for row in rows] == ["20", "40"]
    assert result == result2
    assert values.keys() == values2.keys() and len(values) > 20
    for name, value in values.items():
        np.testing.assert_array_equal(value, values2[name], str(name))
    print(f"{method}: {count} kills, {while_saving} of them while saving")


if __name__ == "__main__":
    main(*sys.argv[1:])

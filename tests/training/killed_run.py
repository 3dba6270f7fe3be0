"""A run that is killed again and again, for `test_resume.py`.

Trains once in peace. Then trains again, kills that process with SIGKILL at random moments, every
second time while a checkpoint is being written, and starts it again until it is done. Both must
have left the same.

    python -m tests.training.killed_run DATA_DIR FOLDER METHOD REPLICAS KILLS SEED
"""

import csv
import json
import os
import pathlib
import random
import signal
import sys
import time

import numpy as np
import tensorflow as tf  # imported, but not used until all processes are forked

from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, StrategyConfig, TrainingConfig
from mentormix_tf.training import strategies
from mentormix_tf.training.run import run

NOT_COMPARED = ("images_per_second", "input_wait", "git_revision")


def config(data_dir, method):
    return RunConfig(
        data=DataConfig(data_dir=data_dir, validation_fraction=0.1),
        training=TrainingConfig(batch_size=64, train_steps=40, eval_every=20, average_decay=0.9),
        method=method,
        hyperparameters={"second_reweight": True} if method == "mentormix" else {},
    )


def started(data_dir, folder, method, replicas):
    """Starts to train in a new process. Returns its id."""
    process = os.fork()
    if process:
        return process
    virtual = {"strategy": "mirrored", "num_virtual_devices": replicas} if replicas > 1 else {}
    strategy = strategies.get(StrategyConfig(**virtual))
    # Every seventh step lies between evaluations, where metrics are half summed.
    output = OutputConfig(model_dir=str(folder), checkpoint_every=7)
    run(config(data_dir, method), output, strategy)
    os._exit(0)


def kill(process, folder, generator, seconds, while_saving):
    """Kills a process; returns whether it was still there."""
    deadline = time.monotonic() + generator.uniform(0.4, 1.1) * seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            assert status == 0, status
            return False
        if while_saving and is_saving(folder):
            break
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return True


def is_saving(folder):
    """Whether there are files of a checkpoint that is not yet whole."""
    try:
        return any("temp" in name for name in os.listdir(folder / "checkpoints"))
    except FileNotFoundError:
        return False


def left(folder):
    """What a run has left, without what takes time or changes while somebody edits."""
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
    return rows, {k: v for k, v in result.items() if k not in NOT_COMPARED}, values


def main(data_dir, folder, method, replicas, kills, seed):
    generator, folder = random.Random(int(seed)), pathlib.Path(folder)
    peaceful, killed = folder / "peaceful", folder / "killed"
    began = time.monotonic()
    assert os.waitpid(started(data_dir, peaceful, method, int(replicas)), 0)[1] == 0
    seconds = time.monotonic() - began

    count, while_saving = 0, 0
    while count < int(kills):
        process = started(data_dir, killed, method, int(replicas))
        if kill(process, killed, generator, seconds, while_saving=count % 2 == 0):
            count += 1
            while_saving += is_saving(killed)
        else:  # it was done too soon to be killed: once more from the start
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

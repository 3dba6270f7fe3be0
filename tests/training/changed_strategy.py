"""A run that resumes on other devices than it started on, for `test_resume.py`.

It has one replica until the first evaluation, two until the second, and one again until the last.
Nothing in it depends on the number of replicas: no BatchNorm, no partners.

    python -m tests.training.changed_strategy DATA_DIR FOLDER
"""

import csv
import os
import pathlib
import signal
import sys

import keras
import numpy as np

from mentormix_tf import networks
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, StrategyConfig, TrainingConfig
from mentormix_tf.distribution import strategies
from mentormix_tf.errors import Preempted
from mentormix_tf.training import report
from mentormix_tf.training.run import run


def plain(image_shape, num_classes):
    layers = [keras.layers.Input(image_shape), keras.layers.Rescaling(1 / 127.5, offset=-1.0)]
    layers += [keras.layers.Conv2D(16, 3, activation="relu"), keras.layers.Flatten()]
    return keras.Sequential([*layers, keras.layers.Dense(num_classes)])


def train(data_dir, folder, replicas, stops):
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    networks.NETWORKS["plain"] = plain
    if stops:  # at the next evaluation
        add = report.Report.add

        def add_and_stop(self, shown):
            os.kill(os.getpid(), signal.SIGTERM)
            return add(self, shown)

        report.Report.add = add_and_stop
    virtual = {"strategy": "mirrored", "num_virtual_devices": replicas} if replicas > 1 else {}
    config = RunConfig(
        data=DataConfig(data_dir=data_dir),
        training=TrainingConfig(
            network="plain", train_steps=30, eval_every=10, ema_decay=0.9, audit=True
        ),
        method="mentornet",
    )
    try:
        run(config, OutputConfig(folder), strategies.get(StrategyConfig(**virtual)))
    except Preempted:
        os._exit(143)
    os._exit(0)


def rows(folder):
    with (pathlib.Path(folder) / "metrics.csv").open() as file:
        return [
            {k: float(v) for k, v in row.items() if k not in ("images_per_second", "input_wait")}
            for row in csv.DictReader(file)
        ]


data_dir, folder = sys.argv[1:]
assert train(data_dir, f"{folder}/one", 1, stops=False) == 0
for replicas in (1, 2):
    assert train(data_dir, f"{folder}/changed", replicas, stops=True) == 143
assert train(data_dir, f"{folder}/changed", 1, stops=False) == 0
one, changed = rows(f"{folder}/one"), rows(f"{folder}/changed")
assert len(one) == len(changed) == 3
for row, other in zip(one, changed, strict=True):
    assert row.keys() == other.keys() and row["loss"] > 0.1
    for name, value in row.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-4, err_msg=name)
alone, other = (np.load(f"{folder}/{name}/examples.npz") for name in ("one", "changed"))
with alone, other:
    assert set(alone.files) > {"margin", "v", "probabilities"} and alone["count"].sum() == 30 * 128
    for name in set(alone.files) - {"split_sha256", "rival", "forgetting_events"}:
        np.testing.assert_allclose(other[name], alone[name], rtol=1e-3, atol=1e-3, err_msg=name)
    # A margin of almost 0 may have either sign.
    assert (alone["rival"] == other["rival"]).mean() > 0.99

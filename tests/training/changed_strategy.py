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


def train(data_dir, folder, replicas, stops, **training):
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
            network="plain",
            train_steps=30,
            eval_every=10,
            ema_decay=0.9,
            audit=True,
            **training,
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


def check_examples(name, tolerance, rivals):
    """Compares what a run recorded of the examples with the run on one replica."""
    alone, other = (np.load(f"{folder}/{each}/examples.npz") for each in ("one", name))
    assert set(alone.files) > {"margin", "v", "probabilities"} and alone["count"].sum() == 30 * 128
    np.testing.assert_array_equal(other["count"], alone["count"])
    for column in ("margin", "log_probability", "probabilities", "v", "agreement"):
        found, expected = other[column], alone[column]
        if column in ("v", "agreement"):  # an example at the threshold may be on either side
            found, expected = np.nanmean(found, axis=0), np.nanmean(expected, axis=0)
        np.testing.assert_allclose(found, expected, atol=tolerance, err_msg=f"{name} {column}")
    assert (alone["rival"] == other["rival"]).mean() > rivals


check_examples("changed", 1e-3, 0.99)
assert train(data_dir, f"{folder}/four", 4, stops=False) == 0
check_examples("four", 1e-3, 0.99)
assert train(data_dir, f"{folder}/bfloat16", 1, stops=False, precision="bfloat16") == 0
with (
    np.load(f"{folder}/one/examples.npz") as exact,
    np.load(f"{folder}/bfloat16/examples.npz") as rounded,
):
    np.testing.assert_array_equal(rounded["count"], exact["count"])
    for half in (0, 1):
        there = exact["count"][:, half] > 0
        margins = rounded["margin"][there, half], exact["margin"][there, half]
        assert np.corrcoef(*margins)[0, 1] > 0.98

"""The curriculum, and the command that trains a mentor on it."""

import dataclasses
import json
import math
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from mentormix_tf import InputError
from mentormix_tf.mentors import MentorNetPD, curriculum, mentor_run
from mentormix_tf.train_mentor import TrainMentorConfig

ROOT = pathlib.Path(__file__).parents[2]


def start(*flags, cwd):
    return subprocess.Popen(
        [sys.executable, "-m", "mentormix_tf.train_mentor", *flags],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def train(**settings):
    return mentor_run.train_mentor(**dataclasses.asdict(TrainMentorConfig(**settings)))


def test_target():
    differences = np.array([-5.0, 0.0, 0.05, 0.06, 0.5, 1.0, 4.9])
    early, late = np.full(7, 79), np.full(7, 80)
    np.testing.assert_array_equal(curriculum.target(differences, early), [1, 1, 1, 0, 0, 0, 0])
    expected = [1, 1, 0.95, 0.94, 0.5, 0, 0]
    np.testing.assert_allclose(curriculum.target(differences, late), expected, rtol=1e-6)


def test_grid():
    losses, differences, stages = curriculum.grid()
    assert len(losses) == len(differences) == len(stages) == 1_200_000
    assert (losses.min(), losses.max()) == (0, 29)
    assert (differences.min(), differences.max()) == (-5, np.float32(4.9))
    assert (stages.min(), stages.max()) == (0, 99)
    assert (differences == 0).mean() == 0.01


@pytest.mark.slow
def test_trained_twice_from_the_command_line(tmp_path):
    flags = ["--steps=1500", "--seed=3"]
    runs = [start(*flags, f"--output=new/{name}", cwd=tmp_path) for name in ("a", "b")]
    outputs = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    folder = tmp_path / "new" / "a"
    weights = folder / "mentornet_pd.npz"
    assert weights.read_bytes() == (tmp_path / "new" / "b" / "mentornet_pd.npz").read_bytes()
    assert (folder / "curriculum.png").read_bytes().startswith(b"\x89PNG")
    result = json.loads((folder / "agreement.json").read_text())
    assert (result["steps"], result["learning_rate"], result["seed"]) == (1500, 0.01, 3)
    everything, _, early, _, late = result["agreement"]
    assert early["share_within_0.1"] > 0.95 and late["share_within_0.1"] > 0.9
    assert f"{everything['mean_abs_error']:.5f}" in outputs[0]

    # The weights can be used, and measured again.
    assert MentorNetPD(0.5, checkpoint=str(weights)).checkpoint == str(weights)
    config = TrainMentorConfig(checkpoint=str(weights), output=str(tmp_path / "again"))
    [again, *_] = mentor_run.train_mentor(**dataclasses.asdict(config))["agreement"]
    np.testing.assert_allclose(again["mean_abs_error"], everything["mean_abs_error"], rtol=1e-3)


def test_seeds_give_different_networks():
    one, other = (curriculum.teach(1, 0.01, seed)["hidden_kernel"] for seed in (0, 1))
    assert abs(one - other).max() > 0.1


def test_nothing_is_overwritten(tmp_path):
    with pytest.raises(InputError, match=f"output={tmp_path} exists already: name a new folder"):
        train(output=str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file/new can't be written: Not a directory"):
        train(output=str(tmp_path / "file" / "new"), steps=1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "argument", [{"steps": 0}, {"learning_rate": 0.0}, {"learning_rate": math.nan}, {"seed": -1}]
)
def test_arguments_out_of_range(argument):
    [(name, value)] = argument.items()
    with pytest.raises(InputError, match=f"{name}={value}"):
        TrainMentorConfig(**argument)

"""Bad values of flags."""

import itertools

import pytest

from tests.fuzz import bounded
from tests.support import commands

TRAIN = ["train", "--train_steps=2", "--eval_every=2", "--batch_size=16"]
NUMBERS = [
    "0",
    "-1",
    "1.5",
    "nan",
    "inf",
    "1e308",
    str(2**63),
    str(2**64),
    "",
    "abc",
    "\uff10",
    "1_0",
]
FLAGS = [
    *("noise_level", "noise_seed", "validation_fraction", "train_examples", "max_image_pixels"),
    *("batch_size", "train_steps", "eval_every", "learning_rate", "warmup_steps", "decay_every"),
    *("decay_rate", "momentum", "weight_decay", "label_smoothing", "ema_decay", "image_size"),
    *("seed", "steps_per_execution", "checkpoint_every", "keep_checkpoints", "profile_steps"),
    *("logit_clip", "gamma_p", "alpha", "burn_in", "sam_rho", "worker_timeout"),
    *("num_virtual_devices", "verified_fraction", "verified_seed"),
]
TRAINED = [
    "--learning_rate=1e308",
    "--learning_rate=1e30",
    "--weight_decay=1e308",
    "--image_size=1",
    "--image_size=3",
    "--image_size=10000",
    "--image_size=4294967296",
    "--batch_size=100000",
    "--gamma_p=1e-300",
    "--alpha=1e-300",
    "--alpha=1e300",
    "--profile_steps=100,200",
    "--profile_steps=2,1",
    "--train_examples=1",
    "--noise_level=1",
    "--model_dir=" + "n" * 300,
    "--model_dir=" + "n/" * 3000,
    "--model_dir=/dev/null",
    "--model_dir=/dev/null/x",
    "--model_dir=s3://bucket/run",
    "--model_dir=~nobody-has-this-name/run",
    "--flagfile=/dev/null",
    "--flagfile=/",
    "--flagfile=gone.flags",
    "--flagfile=itself.flags",
    "--flagfile=utf16.flags",
    "--flagfile=latin.flags",
    "--flagfile=long.flags",
]


@pytest.fixture
def folder(tmp_path):
    """A folder with flagfiles."""
    (tmp_path / "itself.flags").write_text("--flagfile=itself.flags\n")
    (tmp_path / "utf16.flags").write_bytes("--seed=1\n".encode("utf-16"))
    (tmp_path / "latin.flags").write_bytes("# caf\u00e9\n--seed=1\n".encode("latin-1"))
    (tmp_path / "long.flags").write_text("# a comment\n" * 500_000 + "--seed=\n")
    return tmp_path


def printed(flag, value):
    return ["train", "--print_config", f"--{flag}={value}"]


@pytest.mark.slow
def test_the_flags_around_them_are_good(tmp_path):
    done = commands.run(TRAIN, printed("seed", "1"), cwd=tmp_path)
    assert [status for status, _, _ in done] == [0, 0]


@pytest.mark.slow
def test_some(folder):
    pairs = list(itertools.product(FLAGS, NUMBERS))[::20]
    trained = ([*TRAIN, flag] for flag in (TRAINED[0], TRAINED[6], *TRAINED[-4:]))
    found = bounded.faults(*(printed(*pair) for pair in pairs), *trained, cwd=folder)
    assert not found, "\n\n".join(found)


@pytest.mark.slow
def test_all(folder):
    pairs = itertools.product(FLAGS, NUMBERS)
    trained = ([*TRAIN, flag] for flag in TRAINED)
    found = bounded.faults(*(printed(*pair) for pair in pairs), *trained, cwd=folder, gigabytes=4.0)
    assert not found, "\n\n".join(found)


@pytest.mark.slow
def test_limits_are_kept(tmp_path):
    (slow,) = bounded.faults(["train", "--help"], cwd=tmp_path, seconds=0.001)
    (large,) = bounded.faults(TRAIN, cwd=tmp_path, gigabytes=0.01)
    assert "ended with -9" in slow and "ended with" in large

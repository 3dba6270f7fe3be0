"""Bad values of flags."""

from tests.fuzz import bounded
from tests.support import commands

TRAIN = ["train", "--train_steps=2", "--eval_every=2", "--batch_size=16"]

QUICK = [
    ["--learning_rate=1e308"],
    ["--learning_rate=nan"],
    ["--dataset=tfds:"],
]


def test_train(tmp_path):
    assert not bounded.faults(*(TRAIN + flags for flags in QUICK), cwd=tmp_path)


def test_the_flags_around_them_are_good(tmp_path):
    ((status, _, _),) = commands.run(TRAIN, cwd=tmp_path)
    assert status == 0


def test_limits_are_kept(tmp_path):
    (slow,) = bounded.faults(["train", "--help"], cwd=tmp_path, seconds=0.001)
    (large,) = bounded.faults(TRAIN, cwd=tmp_path, gigabytes=0.01)
    assert "ended with -9" in slow and "ended with" in large

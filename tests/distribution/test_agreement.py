"""What workers compare before the first step, and what may differ between them."""

import pytest

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.distribution import agreement

ALL = [{"a": "1", "b": "2"}] * 2


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"a": "1", "b": "3"}, "Worker 0 has b=2, but worker 2 has b=3: start all workers with"),
        ({"a": "0", "b": "3"}, "Worker 0 has a=1, but worker 2 has a=0:"),
        ({"a": "1"}, "Worker 0 has b=2, but worker 2 has no b:"),
        ({**ALL[0], "c": ""}, "Worker 0 has no c, but worker 2 has c=:"),
        ({"a": "1", "b": "x" * 10**6}, f"has b={'x' * 200}...: start"),
        ({"a": "1", "b": "\x1b[2J\n"}, "worker 2 has b= [2J: start"),
    ],
)
def test_the_first_difference(other, message):
    with pytest.raises(InputError) as raised:
        agreement.check([*ALL, other])
    assert message in str(raised.value) and str(raised.value).isprintable()


def test_no_difference():
    agreement.check([{}])
    agreement.check([*ALL, dict(reversed(ALL[0].items()))])


def said(data=None, training=None, output=None, hyperparameters=None, method="mentormix", **more):
    config = RunConfig(
        DataConfig(**(data or {})),
        TrainingConfig(**(training or {})),
        method,
        hyperparameters or {},
    )
    return agreement.facts(config, OutputConfig(**(output or {})), **more)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("noise_seed", {"data": {"noise_seed": 1}}),
        ("noise_level", {"data": {"noise_level": 0.2}}),
        ("dataset", {"data": {"dataset": "cifar10"}}),
        ("learning_rate", {"training": {"learning_rate": 0.01}}),
        ("precision", {"training": {"precision": "bfloat16"}}),
        ("steps_per_execution", {"training": {"steps_per_execution": 10}}),
        ("method", {"method": "vanilla"}),
        ("alpha", {"hyperparameters": {"alpha": 2.0}}),
        ("resume", {"output": {"resume": "never"}}),
        ("checkpoint_every", {"output": {"checkpoint_every": 10}}),
        ("dry_run", {"dry_run": "true"}),
    ],
)
def test_settings_that_must_be_the_same(name, other):
    with pytest.raises(InputError, match=rf"Worker 0 has (no )?{name}\b.*, but worker 1 has"):
        agreement.check([said(), said(**other)])


def test_settings_that_may_differ():
    paths = {"data_dir": "/mnt/b", "noise_file": "/mnt/labels.npy", "corrections": "/mnt/c.csv"}
    paths["examples_file"] = "/mnt/weights.csv"
    output = {"model_dir": "/mnt/runs", "keep_checkpoints": 1, "profile_steps": (1, 2)}
    output["tracker"] = "wandb"
    agreement.check([said(), said(data=paths, output=output)])
    assert {*paths, *output} == set(agreement.MAY_DIFFER)

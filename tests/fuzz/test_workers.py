"""Bad lists of workers, and workers that never come, given to the train command."""

import json

import pytest

from tests.config.test_devices import NO_ADDRESSES
from tests.distribution.test_cluster import BAD
from tests.fuzz import bounded
from tests.support import commands

TRAIN = ["train", "--train_steps=2", "--eval_every=2", "--batch_size=16", "--worker_timeout=1"]
QUICK = [
    ["--worker_hosts=localhost:1,localhost:1"],
    ["--worker_hosts=localhost,b"],
    ["--worker_hosts=localhost:70001,b:1"],
    ["--worker_hosts=localhost:29999,localhost:1"],
    ["--worker_hosts=localhost:1,localhost:2", "--strategy=cpu"],
    ["--task_index=1"],
    ["--tpu=local", "--strategy=cpu"],
    ["--strategy=multi_worker"],
    ["--data_service=http://localhost:1"],
    ["--data_service=grpc://localhost:29999"],
]
SLOW = [
    *(
        [f"--data_service={text}"]
        for text in ("grpc://", "grpc://a", "grpcs://a:1", "grpc://a:1,grpc://A:1", "grpc://no.x:1")
    ),
    *(["--worker_hosts=a:1,b:2", f"--task_index={i}"] for i in ("2", "-1", "x", "1.0", "9" * 30)),
    *([f"--worker_timeout={text}"] for text in ("0", "-1", "x", "1e9", "9" * 30, "nan", "")),
    *([f"--num_virtual_devices={text}"] for text in ("-1", "x", "9" * 30, "2.0")),
    *([f"--worker_hosts={text}"] for text in ('"', '"a:1', "a:1,", ",", "a:1\nb:2", "a:1;b:2")),
    *(
        ["--worker_hosts=localhost:29998," + other]
        for other in ("no.such.host.invalid:1", "[::1]:1", "192.0.2.1:1", "0.0.0.0:1")
    ),
    *(
        [f"--strategy={strategy}", flag]
        for strategy in ("cpu", "one_device", "mirrored", "tpu")
        for flag in ("--worker_hosts=a:1,b:2", "--num_virtual_devices=100000", "--tpu=x")
    ),
]


@pytest.mark.slow
def test_workers(tmp_path):
    asked = [TRAIN + flags for flags in QUICK]
    assert not bounded.faults(*asked, cwd=tmp_path, seconds=60)


@pytest.mark.slow
def test_a_lone_chief_trains(tmp_path, monkeypatch):
    chief = {"cluster": {"chief": ["a:1"]}, "task": {"type": "chief", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps({**chief, "environment": "cloud"}))
    ((status, output, _),) = commands.run([*TRAIN, f"--data_dir={tmp_path}/data"], cwd=tmp_path)
    assert status == 0 and "On CPU" in output


@pytest.mark.slow
def test_more_workers(tmp_path):
    addresses = [a for a in NO_ADDRESSES if "," not in a]
    asked = [TRAIN + flags for flags in SLOW] + [
        [*TRAIN, f"--worker_hosts=localhost:29997,{address}"] for address in addresses
    ]
    assert not bounded.faults(*asked, cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("tf_config", [config for config, _ in BAD][::6])
def test_tf_config(tmp_path, monkeypatch, tf_config):
    text = tf_config if isinstance(tf_config, str) else json.dumps(tf_config)
    monkeypatch.setenv("TF_CONFIG", text)
    assert not bounded.faults(TRAIN, cwd=tmp_path)

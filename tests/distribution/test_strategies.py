"""Strategies as users start them: training, refused settings, and a worker that dies."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import keras
import pytest
import tensorflow as tf

from mentormix_tf import InputError, networks, version
from mentormix_tf.config import (
    DataConfig,
    OutputConfig,
    RunConfig,
    StrategyConfig,
    TrainingConfig,
)
from mentormix_tf.distribution import rendezvous, strategies
from mentormix_tf.distribution.cluster import Cluster
from mentormix_tf.training.run import run
from tests.distribution.test_replicas import free_ports

ROOT = pathlib.Path(__file__).parent.parent.parent
TRAIN = [sys.executable, "-m", "mentormix_tf.train"]
SHORT = ("--train_steps=60", "--eval_every=30", "--steps_per_execution=10")


def start(*flags):
    return subprocess.Popen(
        [*TRAIN, *map(str, flags)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_workers(*flags):
    hosts = ",".join(f"localhost:{port}" for port in free_ports(2))
    flags = ("--strategy=multi_worker", f"--worker_hosts={hosts}", *flags)
    return [start(*flags, f"--task_index={i}") for i in range(2)]


@pytest.mark.slow
def test_mirrored(tmp_path, digits, data_dir):
    flags = (f"--data_dir={data_dir}", f"--model_dir={tmp_path}/run", *SHORT)
    devices = ("--strategy=mirrored", "--num_virtual_devices=2")
    process = start(*devices, *flags)
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert ", 2 replicas\n" in output
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["final_accuracy"] > 0.85 and result["device"].endswith("2 replicas")


@pytest.mark.slow
def test_two_workers_write_one_set_of_results(tmp_path, digits, data_dir):
    workers = start_workers(f"--data_dir={data_dir}", f"--model_dir={tmp_path}/run", *SHORT)
    outputs = [worker.communicate(timeout=200) for worker in workers]
    for worker, (_, errors) in zip(workers, outputs, strict=True):
        assert worker.returncode == 0, errors
        assert "Traceback" not in errors
    assert "mentormix" in outputs[0][0] and "the first worker reports" in outputs[1][0]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert written == {
        "checkpoints",
        "confusion_matrix.csv",
        "confusion_matrix.png",
        "flags.txt",
        "metrics.csv",
        "model.json",
        "result.json",
        "tensorboard",
    }
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["final_accuracy"] > 0.85 and result["device"].startswith("2 hosts, 2 replicas")


@pytest.mark.slow
def test_two_workers_share_features_and_rounds(tmp_path, digits, data_dir):
    layers = [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
    ]
    keras.Sequential(layers).save(tmp_path / "net.keras")
    flags = (
        *(f"--data_dir={data_dir}", f"--model_dir={tmp_path}/run", *SHORT),
        *(f"--network={tmp_path}/net.keras", "--train_layers=head", "--method=vanilla"),
        *("--rounds=incv", "--incv_iterations=1", "--round_steps=30"),
    )
    workers = start_workers(*flags)
    outputs = [worker.communicate(timeout=400) for worker in workers]
    for worker, (_, errors) in zip(workers, outputs, strict=True):
        assert worker.returncode == 0, errors
        assert "Traceback" not in errors
    assert "Round 1b, 2 of 2: 30 steps" in outputs[0][0] and "Round" not in outputs[1][0]
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["device"].startswith("2 hosts, 2 replicas") and result["selection_steps"] == 60
    # A single process reads the same files.
    alone = start(*flags).communicate(timeout=200)
    assert "2 hosts" in (tmp_path / "run" / "result.json").read_text() and not alone[1]


@contextlib.contextmanager
def endless_workers(tmp_path, data_dir):
    """Two workers in the middle of a run, and the flags that both were started with."""
    model_dir = tmp_path / "run"
    hosts = ",".join(f"localhost:{port}" for port in free_ports(2))
    flags = [f"--worker_hosts={hosts}", f"--data_dir={data_dir}", f"--model_dir={model_dir}"]
    flags += ["--train_steps=1000000", "--eval_every=10", "--worker_timeout=20"]
    workers = [start(*flags, f"--task_index={i}") for i in range(2)]
    try:
        deadline = time.monotonic() + 150
        while not (model_dir / "metrics.csv").exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        yield workers, flags
    finally:
        for worker in workers:
            worker.kill()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("lost", [0, 1])
def test_when_a_worker_is_lost_the_other_reports_it_and_ends(tmp_path, digits, data_dir, lost, how):
    with endless_workers(tmp_path, data_dir) as (workers, _):
        workers[lost].send_signal(how)
        _, errors = workers[1 - lost].communicate(timeout=90)
    assert workers[1 - lost].returncode == 1
    assert errors.splitlines()[-1].startswith("error: Another worker has stopped"), errors[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_worker_that_is_started_again_alone_ends(tmp_path, digits, data_dir, lost):
    with endless_workers(tmp_path, data_dir) as (workers, flags):
        workers[lost].kill()
        workers[lost].wait()
        again = start(*flags, f"--task_index={lost}")
        try:
            _, errors = again.communicate(timeout=150)
        finally:
            again.kill()
        workers[1 - lost].wait(timeout=90)
    assert again.returncode == workers[1 - lost].returncode == 1
    assert "error: worker_timeout=20: no answer in that time from localhost:" in errors


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--noise_seed=1", "--learning_rate=0.01"], "noise_seed=0, but worker 1 has noise_seed=1"),
        (["--dry_run"], "dry_run=false, but worker 1 has dry_run=true"),
        (["--compare=vanilla"], "methods=mentormix, but worker 1 has methods=vanilla,mentormix"),
    ],
)
def test_workers_with_different_flags(tmp_path, digits, data_dir, flags, message):
    hosts = ",".join(f"localhost:{port}" for port in free_ports(2))
    common = (f"--worker_hosts={hosts}", f"--data_dir={data_dir}", f"--model_dir={tmp_path}/run")
    workers = [start(*common), start(*common, "--task_index=1", *flags)]
    for worker in workers:
        _, errors = worker.communicate(timeout=200)
        assert worker.returncode == 1
        assert errors.splitlines()[-1].startswith(f"error: Worker 0 has {message}: start all")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_tensorflows_start_is_limited(tmp_path, digits, data_dir):
    first, second = (f"localhost:{port}" for port in free_ports(2))
    flags = (f"--worker_hosts={first},{second}", f"--data_dir={data_dir}", "--worker_timeout=60")
    worker = start(*flags, f"--model_dir={tmp_path}/run")
    versions = {"mentormix_tf": version.__version__, "tensorflow": tf.__version__}
    versions["keras"] = keras.__version__
    try:
        rendezvous.meet(Cluster((first, second), 1), 100, versions)  # and no more than that
        _, errors = worker.communicate(timeout=150)
    finally:
        worker.kill()
    assert worker.returncode == 1
    sentence = "error: TensorFlow could not connect worker 0 to the others within 60 s: see"
    assert errors.splitlines()[-1].startswith(sentence)


@pytest.mark.slow
def test_a_remote_file_system(digits, data_dir):
    command = [sys.executable, "-m", "tests.distribution.remote_run", data_dir]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("tf_config", [None, "", "{}", '{"cluster": {"worker": ["a:1"]}}'])
def test_several_hosts_that_nothing_names(monkeypatch, tf_config):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if tf_config is not None:
        monkeypatch.setenv("TF_CONFIG", tf_config)
    with pytest.raises(InputError, match="needs at least two workers: give TF_CONFIG like"):
        strategies.get(StrategyConfig(strategy="multi_worker"))


def test_absent_worker(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "")  # which worker_hosts replaces
    first, second = (f"localhost:{port}" for port in free_ports(2))
    config = StrategyConfig(
        strategy="multi_worker", worker_hosts=(first, second), task_index=1, worker_timeout=1
    )
    with pytest.raises(InputError, match=f"worker_timeout=1: no answer in that time from {first}"):
        strategies.get(config)


@pytest.mark.parametrize(
    ("name", "error", "reason"),
    [
        ("", ValueError("Please provide a TPU Name to connect to."), "Please provide a TPU Name"),
        ("local", tf.errors.NotFoundError(None, None, "TPUs not found. More."), "TPUs not found"),
        ("mine", RuntimeError("No such TPU\nand so on"), "No such TPU"),
        ("mine", OSError("unreachable"), "unreachable"),
    ],
)
def test_no_tpu(monkeypatch, name, error, reason):
    def connect(tpu):
        assert tpu == (name or None)
        raise error

    monkeypatch.setattr(tf.distribute.cluster_resolver.TPUClusterResolver, "connect", connect)
    with pytest.raises(InputError) as raised:
        strategies.get(StrategyConfig(strategy="tpu", tpu=name))
    message = str(raised.value)
    assert f"({reason}" in message and "tpu/README.md" in message
    assert "\n" not in message and "More" not in message
    assert message.startswith(f"tpu={name}:" if name else "strategy=tpu:")


def test_too_many_virtual_devices():
    with pytest.raises(InputError, match="num_virtual_devices=10000 is more"):
        strategies.get(StrategyConfig(strategy="mirrored", num_virtual_devices=10000))


TWO = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}'
LONE_CHIEF = '{"cluster": {"chief": ["a:1"]}, "task": {"type": "chief", "index": 0}}'


@pytest.mark.parametrize(
    ("environment", "devices", "config", "expected"),
    [
        ({}, {}, {}, "cpu"),
        ({}, {"GPU": 1}, {}, "one_device"),
        ({}, {"GPU": 8}, {}, "mirrored"),
        ({}, {"GPU": 8, "TPU": 4}, {}, "tpu"),
        ({"TPU_NAME": "mine"}, {}, {}, "tpu"),
        ({}, {}, {"tpu": "local"}, "tpu"),
        ({"TF_CONFIG": TWO}, {"GPU": 8}, {}, "multi_worker"),
        ({"TF_CONFIG": "{}"}, {"GPU": 8}, {}, "mirrored"),
        ({"TF_CONFIG": LONE_CHIEF}, {}, {}, "cpu"),
        ({"TF_CONFIG": LONE_CHIEF}, {"GPU": 1}, {}, "one_device"),
        ({"TF_CONFIG": "{bad"}, {}, {"tpu": "local"}, "tpu"),
        ({}, {}, {"worker_hosts": ("a:1", "b:1")}, "multi_worker"),
        ({}, {}, {"num_virtual_devices": 2}, "mirrored"),
        ({}, {}, {"num_virtual_devices": 1}, "mirrored"),
        ({"TF_CONFIG": TWO}, {}, {"num_virtual_devices": 2}, "mirrored"),
    ],
)
def test_auto(monkeypatch, environment, devices, config, expected):
    for name in ("TPU_NAME", "TF_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: ["device"] * devices.get(kind, 0)
    )
    assert strategies.choose(StrategyConfig(**config)) == expected


def test_one_device_is_plain_tensorflow(monkeypatch):
    strategy = strategies.get(StrategyConfig(strategy="cpu"))
    assert strategy.num_replicas_in_sync == 1 and strategies.is_chief(strategy)
    for value, kernels in (("0", ""), ("1", " with oneDNN")):
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", value)
        assert strategies.describe(strategy) == f"CPU, {os.cpu_count()} cores{kernels}"
    strategies.wait_for_all(strategy)


def test_an_operation_that_xla_lacks(tmp_path, monkeypatch, data_dir):
    @keras.saving.register_keras_serializable("tests")
    class Gamma(keras.layers.Layer):
        def call(self, inputs):
            return inputs + tf.random.stateless_gamma(tf.shape(inputs), [1, 2], alpha=1.0)

    def network(image_shape, num_classes):
        flat = [keras.layers.Flatten(), keras.layers.Dense(num_classes)]
        return keras.Sequential([keras.layers.Input(image_shape), Gamma(), *flat])

    monkeypatch.setitem(networks.NETWORKS, "noisy", network)
    config = RunConfig(
        data=DataConfig(data_dir=data_dir),
        training=TrainingConfig(network="noisy", train_steps=1, jit_compile="true"),
    )
    message = "jit_compile=true: XLA has no kernel for StatelessRandomGammaV3, .*jit_compile=false"
    with pytest.raises(InputError, match=message):
        run(config, OutputConfig(model_dir=str(tmp_path / "run")))

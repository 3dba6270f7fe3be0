"""Batches that servers make: the same as those made here, in the same order, or an error."""

import contextlib
import dataclasses
import itertools
import os
import re
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.data import augment, examples, pipeline, service
from mentormix_tf.data.service import Servers
from mentormix_tf.training.run import run
from tests.data.test_pipeline import make_rgb, take
from tests.support import commands
from tests.training.killed_run import left


def adjacent_ports(count):
    """The first of `count` ports in succession, all of them free."""
    while True:
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(socket.create_server(("", 0))).getsockname()[1]
            try:
                for port in range(first + 1, first + count):
                    stack.enter_context(socket.create_server(("", port)))
            except (OSError, OverflowError):
                continue
        return first


def started(address):
    """A server's process, once it listens."""
    command = [sys.executable, "-m", "mentormix_tf.data_service", f"--address={address}"]
    return subprocess.Popen(
        command, cwd=commands.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def servers():
    """Two servers, each in a process of its own."""
    first = adjacent_ports(4)
    addresses = [f"localhost:{port}" for port in (first, first + 2)]
    processes = [started(address) for address in addresses]
    try:
        for process, address in zip(processes, addresses, strict=True):
            line = process.stdout.readline()
            assert line == f"Makes batches for --data_service=grpc://{address}\n"
        yield Servers(tuple(f"grpc://{address}" for address in addresses), 60)
        for process in processes:
            process.terminate()
        assert [process.wait() for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.fixture
def dispatcher():
    """A dispatcher without workers, in this process."""
    return tf.data.experimental.service.DispatchServer()


def add_worker(dispatcher):
    config = tf.data.experimental.service.WorkerConfig(dispatcher.target.partition("://")[2])
    return tf.data.experimental.service.WorkerServer(config)


def assert_same(data, servers, image_shape, batch_size, **settings):
    """Compares batches of more than an epoch, which another number of servers divides."""
    columns = (*examples.COLUMNS, "index", "example_weight")
    settings |= dict(columns=columns, image_shape=image_shape)
    here = take(pipeline.train_batches(data, batch_size, 5, **settings), 13)
    served = take(pipeline.train_batches(data, batch_size, 5, servers=servers, **settings), 13)
    for one, other in zip(here, served, strict=True):
        assert one.keys() == other.keys() == set(columns)
        for name in columns:
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.slow
@pytest.mark.parametrize("memory", [2**30, 0], ids=["decoded", "streamed"])
def test_batches_are_those_made_here(digits, servers, memory):
    servers.check(digits.path, digits.files("train"))
    weights = np.random.RandomState(0).uniform(size=1437).astype(np.float32)
    data = dataclasses.replace(digits, weights=weights, kept=weights > 0.2)
    how = augment.AUGMENTATIONS["cifar_standard"]
    assert_same(data, servers, (8, 8, 1), 128, augmentation=how, memory=memory, start_step=3)


@pytest.mark.slow
def test_batches_of_images_held_encoded(tmp_path, servers):
    data, how = make_rgb(tmp_path), augment.AUGMENTATIONS["imagenet"]
    assert_same(data, servers, (12, 12, 3), 16, augmentation=how)


def test_batches_of_the_second_of_two_hosts(digits, servers):
    context, how = tf.distribute.InputContext(2, 1, 4), augment.AUGMENTATIONS["cifar_standard"]
    assert_same(digits, servers, (8, 8, 1), 64, augmentation=how, context=context)


def test_a_run_ends_the_same(tmp_path, data_dir, servers):
    config = RunConfig(
        data=DataConfig(data_dir=data_dir, validation_fraction=0.1),
        training=TrainingConfig(train_steps=12, eval_every=6, batch_size=32, audit=True),
    )
    for name, each in {"here": service.NO_SERVERS, "served": servers}.items():
        run(config, OutputConfig(str(tmp_path / name)), servers=each)
    (rows, result, values), (rows2, result2, values2) = (
        left(tmp_path / name) for name in ("here", "served")
    )
    assert rows == rows2 and result == result2 and values.keys() == values2.keys()
    assert len(values) > 20
    for name, value in values.items():
        np.testing.assert_array_equal(value, values2[name], str(name))


def test_a_server_that_cannot_read_the_split(digits, servers):
    with pytest.raises(InputError, match=r"can't read .*no-such-file; No such file.*same path"):
        servers.check(digits.path, [*digits.files("train"), "/no-such-file"])


def test_features_are_not_served(data_dir):
    config = RunConfig(
        data=DataConfig(data_dir=data_dir),
        training=TrainingConfig(train_layers="head"),
    )
    with pytest.raises(InputError, match=r"data_service=grpc://a:1 .* give --feature_views=0\."):
        run(config, OutputConfig("unused"), servers=Servers(("grpc://a:1",)))


def test_a_dispatcher_of_several_workers(digits, dispatcher):
    workers = [add_worker(dispatcher) for _ in range(2)]
    servers = Servers((dispatcher.target,), 60)
    with pytest.raises(InputError, match=f"{dispatcher.target} has several workers") as raised:
        servers.check(digits.path, digits.files("train"))
    assert str(raised.value).endswith("once for each address.")
    del workers


def test_a_batch_out_of_turn(dispatcher):
    """Of two workers, each makes all batches, so each batch comes twice."""
    workers = [add_worker(dispatcher) for _ in range(2)]
    servers = Servers((dispatcher.target,), 60)
    numbers = tf.data.Dataset.range(2**40).map(lambda i: {"i": i})
    batches = servers.distributed(lambda i, n: numbers.shard(n, i))
    failed = pytest.raises(InputError, match=r"has failed \(.*out of turn.*\): .* resumes")
    with failed, servers.connected():
        list(itertools.islice(batches, 1000))
    del workers


def test_errors_of_training_pass():
    with pytest.raises(tf.errors.InvalidArgumentError), Servers(("grpc://a:1",)).connected():
        tf.debugging.assert_equal(1, 2)


def test_no_server(digits):
    address = f"grpc://localhost:{adjacent_ports(1)}"
    with pytest.raises(InputError, match=rf"data_service={address}: no answer within 1 s \(") as e:
        Servers((address,), 1).check(digits.path, digits.files("train"))
    assert str(e.value).endswith("there, or omit the flag to make batches here.")


@pytest.mark.slow
def test_strangers_and_bad_addresses(tmp_path, data_dir):
    flags = ["--worker_timeout=2", f"--data_dir={data_dir}"]
    with socket.create_server(("", 0)) as stranger:
        port = stranger.getsockname()[1]
        mute, *bad = commands.run(
            ["train", *flags, f"--data_service=grpc://localhost:{port}"],
            *(["data_service", f"--address={a}"] for a in ("x", "a:65535", f"localhost:{port}")),
            cwd=tmp_path,
            seconds=120,
        )
    assert mute[0] == 1 and re.search(
        rf"error: data_service=grpc://localhost:{port}: another program listens there, .*\.$",
        mute[2].strip(),
    )
    assert [status for status, _, _ in bad] == [1, 1, 1]
    assert bad[0][2].startswith("error: address=x must be this host's name and a port")
    assert bad[1][2].startswith("error: address=a:65535 must be this host's name and a port")
    assert f"can't listen on port {port}: Address already in use" in bad[2][2]


@pytest.mark.slow
def test_killed_trainers_and_servers(tmp_path, data_dir):
    """A run ends as one made here, though trainer and server are killed on the way."""
    first = adjacent_ports(4)
    addresses = [f"localhost:{port}" for port in (first, first + 2)]
    processes = [started(address) for address in addresses]
    flags = [
        f"--data_dir={data_dir}",
        "--validation_fraction=0.1",
        "--train_steps=300",
        "--eval_every=100",
        "--method=bootstrap",
        "--checkpoint_every=5",
        "--batch_size=32",
    ]
    served = [*flags, "--data_service=" + ",".join(f"grpc://{a}" for a in addresses)]
    served += ["--model_dir=served"]

    def training():
        return subprocess.Popen(
            [sys.executable, "-m", "mentormix_tf.train", *served],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(commands.ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def steps():
        names = (tmp_path / "served" / "checkpoints").glob("step-*.index")
        return max((int(re.findall(r"\d+", path.name)[0]) for path in names), default=0)

    def wait_until_after(step):
        while steps() <= step:
            time.sleep(0.02)

    try:
        trainer = training()
        wait_until_after(0)
        trainer.kill()
        trainer.communicate()
        trainer, done = training(), steps()
        wait_until_after(done)
        processes[1].kill()
        error = trainer.communicate()[1]
        assert trainer.returncode == 1 and "Traceback" not in error
        assert f"data_service=grpc://{addresses[1]}: a server has failed" in error
        processes.append(started(addresses[1]))
        assert done < steps() < 300
        trainer = training()
        trainer.communicate()
        assert trainer.returncode == 0
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    ((status, _, error),) = commands.run(["train", *flags, "--model_dir=here"], cwd=tmp_path)
    assert status == 0, error
    (rows, _, values), (rows2, _, values2) = (left(tmp_path / n) for n in ("here", "served"))
    assert rows == rows2 and values.keys() == values2.keys() and len(values) > 20
    for name, value in values.items():
        np.testing.assert_array_equal(value, values2[name], str(name))

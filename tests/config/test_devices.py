"""Flags that name devices: which contradict each other, and which addresses are none."""

import pytest

from mentormix_tf import InputError
from mentormix_tf.config import StrategyConfig

HOSTS = ("a:1", "b:2")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"worker_hosts": HOSTS, "task_index": 1},
        {"worker_hosts": HOSTS, "strategy": "multi_worker", "worker_timeout": 604800},
        {"worker_hosts": ("[::1]:1", "[::1]:2", "10.0.0.1:65535", "a_b-c.d:1")},
        {"strategy": "multi_worker"},  # with TF_CONFIG
        {"tpu": "local"},
        {"tpu": "local", "strategy": "tpu"},
        {"num_virtual_devices": 2, "strategy": "mirrored"},
        {"num_virtual_devices": 1},
        {"data_service": ("grpc://a:1", "grpc://[::1]:1"), "worker_hosts": HOSTS},
    ],
)
def test_good(given):
    StrategyConfig(**given)


ONE_STRATEGY = ("cpu", "one_device", "mirrored", "multi_worker", "tpu")
ALLOWED = {"tpu": "tpu", "worker_hosts": "multi_worker", "num_virtual_devices": "mirrored"}
VALUES = {"tpu": "local", "worker_hosts": HOSTS, "num_virtual_devices": 2}


@pytest.mark.parametrize("strategy", ONE_STRATEGY)
@pytest.mark.parametrize("name", VALUES)
def test_flags_for_another_strategy(name, strategy):
    given = {name: VALUES[name], "strategy": strategy}
    if ALLOWED[name] == strategy:
        StrategyConfig(**given)
        return
    with pytest.raises(InputError, match=f"{name}=.* but strategy={strategy}: omit one of them"):
        StrategyConfig(**given)


@pytest.mark.parametrize("first", VALUES)
@pytest.mark.parametrize("second", VALUES)
def test_flags_for_different_devices(first, second):
    if first != second:
        with pytest.raises(InputError, match=f"{first}=.*name different devices"):
            StrategyConfig(**{first: VALUES[first], second: VALUES[second]})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"num_virtual_devices": -1}, "num_virtual_devices=-1 must not be negative"),
        ({"task_index": -1}, "task_index=-1 must not be negative"),
        ({"task_index": 1}, "task_index=1 is a position in worker_hosts, which is not given"),
        ({"task_index": 1, "strategy": "multi_worker"}, "task_index=1 is a position"),
        ({"task_index": 1, "strategy": "cpu"}, "task_index=1 is a position"),
        ({"task_index": 2, "worker_hosts": HOSTS}, "task_index=2 is no position .* from 0 to 1"),
        ({"task_index": 10**30, "worker_hosts": HOSTS}, "is no position in worker_hosts=a:1,b:2"),
        ({"worker_timeout": 0}, "worker_timeout=0 must be from 1"),
        ({"worker_timeout": 10**30}, "must be from 1 to 604800 seconds"),
        ({"worker_hosts": ("a:1",)}, "worker_hosts=a:1 names one worker"),
        ({"worker_hosts": ("a:1", "b:2", "a:1")}, "worker_hosts=a:1,b:2,a:1 has a:1 twice"),
        ({"worker_hosts": ("a:1", "A:01")}, "has A:01 twice"),
        ({"worker_hosts": ("[::1]:1", "[0:0::1]:1")}, "twice"),
        ({"worker_hosts": ("a:1", "")}, "worker_hosts=a:1, has the address ''"),
        ({"data_service": ("http://a:1",)}, "'http://a:1': write each as grpc://, a host's name"),
        ({"data_service": ("a:1",)}, "data_service=a:1 has the address 'a:1'"),
        ({"data_service": ("grpc://a:1", "grpc://A:1")}, "has grpc://A:1 twice: give each its own"),
        ({"data_service": ("grpc://grpc://a:1",)}, "has the address 'grpc://grpc://a:1'"),
    ],
)
def test_bad(given, message):
    with pytest.raises(InputError, match=message) as raised:
        StrategyConfig(**given)
    assert str(raised.value).endswith(".") and str(raised.value).isprintable()


NO_ADDRESSES = [
    *(
        "b",
        "b:",
        ":1",
        ":",
        "b:0",
        "b:00000",
        "b:65536",
        "b:100000",
        "b:-1",
        "b:+1",
        "b:x",
        "b:1.0",
    ),
    *("b:٣", "b:1_0", "grpc://b:1", "http://b:1/", "::1:2", "[::1]", "[::1]:", "[b]:1", "b:1:2"),
    *("b c:1", "b..c:1", "x" * 64 + ":1", "b:1\n", "b:\x1b1", "b:" + "9" * 5000, "/b:1", "é:1"),
    *("b@c:1", "b:1;c:2", "b:1 c:2", "*:1", "{b}:1", "$B:1", "[]:1", "[::1%]:1", "[::g]:1"),
]


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_no_address(address):
    with pytest.raises(InputError, match="has the address") as raised:
        StrategyConfig(worker_hosts=("a:1", address))
    error = str(raised.value)
    assert error.endswith("such as host0:2222 or [::1]:2222.") and error.isprintable()
    assert len(error) < 700

"""TF_CONFIG as schedulers set it, and what is refused in it."""

import json

import pytest

from mentormix_tf import InputError
from mentormix_tf.config import StrategyConfig
from mentormix_tf.distribution import cluster
from mentormix_tf.distribution.cluster import Cluster
from tests.config.test_devices import NO_ADDRESSES

TWO = {"worker": ["a:1", "b:2"]}


def found(monkeypatch, tf_config, **flags):
    text = tf_config if isinstance(tf_config, str) else json.dumps(tf_config)
    monkeypatch.setenv("TF_CONFIG", text)
    return cluster.find(StrategyConfig(**flags))


def task(kind, index):
    return {"type": kind, "index": index}


@pytest.mark.parametrize(
    "tf_config",
    [
        "",
        " \n",
        "{}",
        {"cluster": {}},
        {"cluster": None, "task": None},
        {"task": task("worker", 0)},
        {"cluster": {"worker": []}},
        {"cluster": {"worker": ["a:1"]}},
        {"cluster": {"worker": ["a:1"]}, "task": task("worker", 0)},
        {"cluster": {"chief": ["127.0.0.1:2222"]}, "task": task("chief", 0)},
        {"cluster": {"master": ["a:1"]}, "task": task("master", "0"), "environment": "cloud"},
        {"cluster": {"chief": ["a:1"], "worker": [], "ps": []}, "task": task("chief", 0)},
        {"cluster": {"chief": ["a:1"], "evaluator": ["b:1"]}, "task": task("chief", 0)},
        {"cluster": {"worker": ["a"]}, "task": task("worker", 0)},  # never called
    ],
)
def test_one_machine(monkeypatch, tf_config):
    assert found(monkeypatch, tf_config) is None


VERTEX = {
    "cluster": {
        "chief": ["training-workerpool0-0:2222"],
        "worker": ["training-workerpool1-0:2222", "training-workerpool1-1:2222"],
    },
    "environment": "cloud",
    "job": {"python_module": "trainer.task", "args": ["--dataset=cifar10"]},
    "task": {"type": "worker", "index": 1, "trial": "1", "cloud": "x"},
}


@pytest.mark.parametrize(
    ("tf_config", "workers", "index"),
    [
        ({"cluster": TWO, "task": task("worker", 1)}, "a:1 b:2", 1),
        ({"cluster": TWO, "task": task("worker", "1")}, "a:1 b:2", 1),
        ({"cluster": TWO, "task": {"index": 1}}, "a:1 b:2", 1),
        ({"cluster": {**TWO, "chief": ["c:3"]}, "task": task("chief", 0)}, "c:3 a:1 b:2", 0),
        ({"cluster": {**TWO, "chief": ["c:3"]}, "task": task("worker", 0)}, "c:3 a:1 b:2", 1),
        ({"cluster": {**TWO, "master": ["c:3"]}, "task": task("master", 0)}, "c:3 a:1 b:2", 0),
        ({"cluster": {**TWO, "evaluator": ["e:1"]}, "task": task("worker", 0)}, "a:1 b:2", 0),
        ({"cluster": {**TWO, "ps": []}, "task": task("worker", 0)}, "a:1 b:2", 0),
        (
            {"cluster": {"worker": ["[::1]:1", "[fe80::2%eth0]:1"]}, "task": task("worker", 0)},
            "[::1]:1 [fe80::2%eth0]:1",
            0,
        ),
        (VERTEX, " ".join((*VERTEX["cluster"]["chief"], *VERTEX["cluster"]["worker"])), 2),
    ],
)
def test_several_workers(monkeypatch, tf_config, workers, index):
    cluster = found(monkeypatch, tf_config)
    assert cluster == Cluster(tuple(workers.split()), index)
    assert found(monkeypatch, cluster.tf_config()) == cluster  # as TensorFlow will read it


def test_flags_come_first(monkeypatch):
    given = found(monkeypatch, "{bad", worker_hosts=("a:1", "b:2"), task_index=1)
    assert given == Cluster(("a:1", "b:2"), 1)


BAD = [
    ("{bad", "TF_CONFIG={bad can't be read"),
    *(
        (text, "can't be read")
        for text in ("[]", "null", "5", '"text"', "true", "NaN", "[" * 10**5)
    ),
    *(
        ({"cluster": cluster, "task": task("worker", 0)}, "can't be read")
        for cluster in (
            *([], "a:1", 5, {"worker": 5}, {"worker": [5, 6]}, {"worker": [["a:1"], "b:1"]}),
            *({"worker": [None, None]}, {"worker": True}),
        )
    ),
    *(
        ({"cluster": TWO, "task": given}, "can't be read")
        for given in ([], "worker", 5, *(task("worker", i) for i in ("x", 0.0, True, [], {})))
    ),
    *(
        ({"cluster": TWO, "task": given}, "does not say which task this is")
        for given in (None, {}, task("worker", 2), task("worker", -1), task("chief", 0))
    ),
    *(
        ({"cluster": {"worker": ["a:1", address]}, "task": task("worker", 0)}, "has the address")
        for address in ("", *NO_ADDRESSES)
    ),
    ({"cluster": {"worker": ["a:1", "A:1"]}, "task": task("worker", 0)}, "has A:1 twice"),
    ({"cluster": {**TWO, "chief": ["b:2"]}, "task": task("chief", 0)}, "has b:2 twice"),
    ({"cluster": {**TWO, "chief": ["c:1", "d:1"]}, "task": task("chief", 0)}, "has 2 chiefs"),
    (
        {"cluster": {**TWO, "master": ["c:1"], "chief": ["d:1"]}, "task": task("chief", 0)},
        "2 chiefs",
    ),
    ({"cluster": {**TWO, "ps": ["p:1"]}, "task": task("worker", 0)}, "of the kind ps"),
    ({"cluster": {"chief": ["c:1"], "ps": ["p:1"]}, "task": task("ps", 0)}, "of the kind ps"),
    ({"cluster": {"tpu_worker": ["c:1"]}, "task": task("tpu_worker", 0)}, "of the kind tpu_worker"),
    ({"cluster": TWO, "task": task("ps", 0)}, "of the kind ps"),
    ({"cluster": {**TWO, "evaluator": ["e:1"]}, "task": task("evaluator", 0)}, "an evaluator"),
    ({"cluster": TWO, "task": task("evaluator", 0)}, "an evaluator"),
    ({"cluster": {"chief": ["c:1"]}, "task": task("evaluator", 0)}, "an evaluator"),
]


@pytest.mark.parametrize(("tf_config", "message"), BAD)
def test_bad_tf_config(monkeypatch, tf_config, message):
    with pytest.raises(InputError) as raised:
        found(monkeypatch, tf_config)
    error = str(raised.value)
    assert message in error and error.startswith("TF_CONFIG=") and error.endswith(".")
    assert error.isprintable() and len(error) < 800

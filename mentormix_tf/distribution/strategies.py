"""The devices to train on, as a `tf.distribute` strategy chosen by name."""

import json
import os
import socket
import time

import tensorflow as tf

from mentormix_tf.config.devices import StrategyConfig
from mentormix_tf.errors import InputError

__all__ = [
    "TPU_REMEDY",
    "all_agree",
    "any_worker",
    "choose",
    "describe",
    "get",
    "is_chief",
    "is_multi_worker",
    "wait_for_all",
]

TPU_REMEDY = (
    "run on a TPU VM with --tpu=local, or name a TPU of this project and zone; "
    "tpu/README.md shows how to create one"
)


def get(config: StrategyConfig) -> tf.distribute.Strategy:
    """Creates the strategy that a config names; call it before any other use of TensorFlow.

    Args:
        config: the strategy's name and its devices.

    Returns:
        The strategy; TensorFlow's default one for a single device.

    Raises:
        InputError: the device does not exist, or another worker can't be reached.
    """
    name = choose(config) if config.strategy == "auto" else config.strategy
    _split_cpu(config.num_virtual_devices, name)
    if name == "tpu":
        return _tpu(config.tpu)
    if name == "multi_worker":
        return _multi_worker(config)
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    # With the other devices hidden, the default strategy uses the one that is visible.
    gpus = tf.config.list_physical_devices("GPU")
    tf.config.set_visible_devices([] if name == "cpu" else gpus[:1], "GPU")
    return tf.distribute.get_strategy()


def choose(config: StrategyConfig) -> str:
    """Returns the strategy that `auto` stands for on this machine.

    A TPU, else several hosts if TF_CONFIG or worker_hosts names them, else all GPUs, else the CPU.

    Args:
        config: the devices; its `strategy` is ignored.

    Returns:
        The name of a strategy.
    """
    if config.tpu or os.environ.get("TPU_NAME") or tf.config.list_physical_devices("TPU"):
        return "tpu"
    if config.worker_hosts or os.environ.get("TF_CONFIG"):
        return "multi_worker"
    if len(tf.config.list_physical_devices("GPU")) > 1 or config.num_virtual_devices > 1:
        return "mirrored"
    return "one_device" if tf.config.list_physical_devices("GPU") else "cpu"


def describe(strategy: tf.distribute.Strategy) -> str:
    """Describes the devices of a strategy, as in "2 x NVIDIA H100, 2 replicas"."""
    replicas = strategy.num_replicas_in_sync
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return f"TPU, {replicas} cores"
    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        device = f"{len(gpus)} x {details.get('device_name', 'GPU')}"
    else:
        device = f"CPU, {os.cpu_count()} cores"
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        hosts = len(strategy.cluster_resolver.cluster_spec().as_dict()["worker"])
        return f"{hosts} hosts, {replicas} replicas, here on {device}"
    return device if replicas == 1 else f"{device}, {replicas} replicas"


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes results."""
    return not is_multi_worker(strategy) or strategy.cluster_resolver.task_id == 0


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Waits until every worker has called this function."""
    if is_multi_worker(strategy):
        _sum(strategy, 1.0)


def any_worker(strategy: tf.distribute.Strategy, flag: bool) -> bool:
    """Whether a flag is set on any worker; every worker must call this.

    Args:
        strategy: the strategy.
        flag: this worker's flag.
    """
    if not is_multi_worker(strategy):
        return flag
    return bool(_sum(strategy, float(flag)) > 0)


def all_agree(strategy: tf.distribute.Strategy, number: int) -> bool:
    """Whether a number is the same on every worker; every worker must call this.

    Args:
        strategy: the strategy.
        number: this worker's number, which must be exact in float32.
    """
    if not is_multi_worker(strategy):
        return True
    chief = float(is_chief(strategy))
    of_chief = _sum(strategy, chief * number) / _sum(strategy, chief)
    return not any_worker(strategy, number != of_chief)


def is_multi_worker(strategy: tf.distribute.Strategy) -> bool:
    """Whether the strategy spans several processes."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def _sum(strategy, value):
    """Sums a float over all replicas of all workers."""
    values = strategy.run(tf.constant, args=(value,))
    return strategy.reduce("SUM", values, axis=None).numpy()


def _split_cpu(number, name):
    if number == 0:
        return
    cores = os.cpu_count() or 1
    if name != "mirrored":
        raise InputError(
            f"num_virtual_devices={number} splits the CPU for --strategy=mirrored, but strategy="
            f"{name}: omit one of them."
        )
    if number > 8 * cores:
        raise InputError(
            f"num_virtual_devices={number} is more than a machine with {cores} cores can use: "
            f"choose {2 * cores} or fewer."
        )
    tf.config.set_visible_devices([], "GPU")
    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(number)]
    tf.config.set_logical_device_configuration(cpu, parts)


def _tpu(name):
    if not name and tf.config.list_physical_devices("TPU") and "TPU_NAME" not in os.environ:
        name = "local"
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(name or None)
        return tf.distribute.TPUStrategy(resolver)
    except (ValueError, RuntimeError, ImportError, OSError, tf.errors.OpError) as error:
        reason = str(error).strip("<> \n").splitlines()[0].split(". ")[0].rstrip(".")
        named = f"tpu={name}" if name else "strategy=tpu"
        raise InputError(f"{named}: no TPU is available ({reason}): {TPU_REMEDY}.") from error


def _multi_worker(config):
    if config.worker_hosts:
        task = {"type": "worker", "index": config.task_index}
        cluster = {"worker": list(config.worker_hosts)}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    _meet(*_read_tf_config(), config.worker_timeout)
    return tf.distribute.MultiWorkerMirroredStrategy()


def _meet(workers, index, seconds):
    """Waits until every worker listens; TensorFlow would wait for an absent one forever."""
    port = int(workers[index].rsplit(":", 1)[1])
    absent = [host for i, host in enumerate(workers) if i != index]
    deadline = time.monotonic() + seconds
    try:
        with socket.create_server(("", port)):  # answers the others until TensorFlow's server does
            while absent and time.monotonic() < deadline:
                absent = [host for host in absent if not _answers(host)]
                time.sleep(0.2)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise InputError(
            f"task_index={index} can't listen on {workers[index]}: {reason}: name a free port in "
            "the addresses that all workers are given."
        ) from error
    if absent:
        raise InputError(
            f"worker_timeout={seconds}: no answer from {', '.join(absent)} in that time: start "
            "every worker with the same hosts and its own task_index, and make sure that they can "
            "reach each other's ports."
        )


def _read_tf_config():
    """Reads the workers' addresses and the position of this worker from TF_CONFIG."""
    text = os.environ.get("TF_CONFIG", "")
    like = (
        'TF_CONFIG like {"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": '
        '"worker", "index": 0}}, or --worker_hosts=host0:2222,host1:2222 --task_index=0'
    )
    if not text:
        raise InputError(f"strategy=multi_worker needs {like}.")
    try:
        config = json.loads(text)
        workers, task = config["cluster"]["worker"], config["task"]
        kind, index = task["type"], int(task["index"])
        ports = [int(host.rsplit(":", 1)[1]) for host in workers]
        if not all(0 < port < 2**16 for port in ports):
            raise ValueError(ports)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise InputError(
            f"TF_CONFIG={text} can't be read: strategy=multi_worker needs {like}."
        ) from error
    if kind != "worker" or set(config["cluster"]) != {"worker"}:
        raise InputError(
            f"TF_CONFIG={text} has tasks other than workers: strategy=multi_worker needs {like}."
        )
    if not 0 <= index < len(workers) or len(ports) < 2:
        raise InputError(
            f"TF_CONFIG has task index {index} with {len(workers)} workers: strategy=multi_worker "
            "needs at least two workers and an index below their number."
        )
    return workers, index


def _answers(host):
    name, port = host.rsplit(":", 1)
    try:
        socket.create_connection((name, int(port)), timeout=2).close()
    except OSError:
        return False
    return True

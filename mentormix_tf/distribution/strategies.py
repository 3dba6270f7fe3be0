"""The devices to train on, as a `tf.distribute` strategy chosen by name."""

import json
import os
import socket
import time

import tensorflow as tf

from mentormix_tf.errors import InputError

TPU_REMEDY = (
    "start it on a TPU VM with --tpu=local, or name a TPU of this project and zone; "
    "tpu/README.md tells how to get one"
)


def get(config):
    """Makes the strategy that a config names. Call it before TensorFlow is used for anything.

    Args:
        config: `StrategyConfig`.

    Returns:
        `tf.distribute.Strategy`; TensorFlow's default one where there is one device.

    Raises:
        InputError: there is no such device, or another worker can't be reached.
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
    # One device: others are hidden, and TensorFlow puts everything on what it sees.
    gpus = tf.config.list_physical_devices("GPU")
    tf.config.set_visible_devices([] if name == "cpu" else gpus[:1], "GPU")
    return tf.distribute.get_strategy()


def choose(config):
    """What `auto` stands for on this machine.

    A TPU, else several hosts if TF_CONFIG or worker_hosts names them, else all GPUs, else the CPU.

    Args:
        config: `StrategyConfig`.

    Returns:
        Name of a strategy.
    """
    if config.tpu or os.environ.get("TPU_NAME") or tf.config.list_physical_devices("TPU"):
        return "tpu"
    if config.worker_hosts or os.environ.get("TF_CONFIG"):
        return "multi_worker"
    if len(tf.config.list_physical_devices("GPU")) > 1 or config.num_virtual_devices > 1:
        return "mirrored"
    return "one_device" if tf.config.list_physical_devices("GPU") else "cpu"


def describe(strategy):
    """Says what a strategy runs on, as in "2 replicas on 2 x NVIDIA H100".

    Args:
        strategy: `tf.distribute.Strategy`.

    Returns:
        Text for people.
    """
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


def is_chief(strategy):
    """Whether this process is the one that writes results.

    Args:
        strategy: `tf.distribute.Strategy`.
    """
    return not is_multi_worker(strategy) or strategy.cluster_resolver.task_id == 0


def wait_for_all(strategy):
    """Returns when every worker has called it; at once where there is one.

    Args:
        strategy: `tf.distribute.Strategy`.
    """
    if is_multi_worker(strategy):
        _sum(strategy, 1.0)


def any_worker(strategy, flag):
    """Whether a flag is set on any worker; all of them ask.

    Args:
        strategy: `tf.distribute.Strategy`.
        flag: this worker's, a bool.
    """
    if not is_multi_worker(strategy):
        return flag
    return bool(_sum(strategy, float(flag)) > 0)


def all_agree(strategy, number):
    """Whether a number is the same on every worker; all of them ask.

    Args:
        strategy: `tf.distribute.Strategy`.
        number: this worker's, an integer that float32 holds.
    """
    if not is_multi_worker(strategy):
        return True
    chief = float(is_chief(strategy))
    of_chief = _sum(strategy, chief * number) / _sum(strategy, chief)
    return not any_worker(strategy, number != of_chief)


def is_multi_worker(strategy):
    """Whether other processes take part.

    Args:
        strategy: `tf.distribute.Strategy`.
    """
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def _sum(strategy, value):
    """The sum of a float over all replicas of all workers."""
    values = strategy.run(tf.constant, args=(value,))
    return strategy.reduce("SUM", values, axis=None).numpy()


def _split_cpu(number, name):
    if number == 0:
        return
    cores = os.cpu_count()
    if name != "mirrored":
        raise InputError(
            f"num_virtual_devices={number} splits the CPU for --strategy=mirrored, but strategy="
            f"{name}: leave one of them out."
        )
    if number > 8 * cores:
        raise InputError(
            f"num_virtual_devices={number} is more than this machine, with {cores} cores, can "
            f"make sense of: take {2 * cores} or fewer."
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
        raise InputError(f"{named}: no TPU can be used ({reason}): {TPU_REMEDY}.") from error


def _multi_worker(config):
    if config.worker_hosts:
        task = {"type": "worker", "index": config.task_index}
        cluster = {"worker": list(config.worker_hosts)}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
    _meet(*_read_tf_config(), config.worker_timeout)
    return tf.distribute.MultiWorkerMirroredStrategy()


def _meet(workers, index, seconds):
    """Returns when every worker is there; TensorFlow would wait for an absent one for ever."""
    port = int(workers[index].rsplit(":", 1)[1])
    absent = [host for i, host in enumerate(workers) if i != index]
    deadline = time.monotonic() + seconds
    try:
        with socket.create_server(("", port)):  # what the others look for until TensorFlow's is up
            while absent and time.monotonic() < deadline:
                absent = [host for host in absent if not _answers(host)]
                time.sleep(0.2)
    except OSError as error:
        raise InputError(
            f"task_index={index} can't listen on {workers[index]}: {os.strerror(error.errno)}. "
            "Name a port that is free, the same for all workers."
        ) from error
    if absent:
        raise InputError(
            f"worker_timeout={seconds}: no answer from {', '.join(absent)} in that time. Start "
            "every worker with the same hosts and its own task_index, and let them reach each "
            "other's ports."
        )


def _read_tf_config():
    """The workers' addresses and this one's position, from TF_CONFIG."""
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
        raise InputError(f"TF_CONFIG={text} has tasks other than workers: needed is {like}.")
    if not 0 <= index < len(workers) or len(ports) < 2:
        raise InputError(
            f"task index {index} with {len(workers)} workers: strategy=multi_worker needs two "
            "workers or more and an index below their number."
        )
    return workers, index


def _answers(host):
    name, port = host.rsplit(":", 1)
    try:
        socket.create_connection((name, int(port)), timeout=2).close()
    except OSError:
        return False
    return True

"""The devices to train on, as a `tf.distribute` strategy chosen by name."""

import atexit
import gc
import json
import logging
import multiprocessing.pool
import os
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf import backend, version
from mentormix_tf.config.devices import StrategyConfig
from mentormix_tf.distribution import agreement, cluster, rendezvous
from mentormix_tf.distribution.time_limit import time_limit
from mentormix_tf.errors import InputError

__all__ = [
    "TPU_REMEDY",
    "all_agree",
    "any_worker",
    "check_same",
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
_SHORTEST_START = 60  # seconds; a healthy start of TensorFlow takes less, even on a busy machine

_log = logging.getLogger(__name__)


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
    _split_cpu(config.num_virtual_devices)
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

    What a flag names, else a TPU, else several hosts if TF_CONFIG names them, else all GPUs, else
    the CPU.

    Args:
        config: the devices; its `strategy` is ignored.

    Returns:
        The name of a strategy.

    Raises:
        InputError: TF_CONFIG can't be read.
    """
    if config.tpu:
        return "tpu"
    if config.worker_hosts:
        return "multi_worker"
    if config.num_virtual_devices:
        return "mirrored"
    if os.environ.get("TPU_NAME") or tf.config.list_physical_devices("TPU"):
        return "tpu"
    if cluster.find(config):
        return "multi_worker"
    gpus = tf.config.list_physical_devices("GPU")
    return "mirrored" if len(gpus) > 1 else "one_device" if gpus else "cpu"


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
        kernels = " with oneDNN" if backend.uses_onednn() else ""
        device = f"CPU, {os.cpu_count()} cores{kernels}"
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
    return len(np.unique(_rows(strategy, [number]))) == 1


def check_same(strategy: tf.distribute.Strategy, facts: Mapping[str, str]) -> None:
    """Checks that all workers train the same; every worker must call this.

    Args:
        strategy: the strategy.
        facts: what must be the same on all workers, by name.

    Raises:
        InputError: a fact differs, on every worker.
    """
    if is_multi_worker(strategy):
        agreement.check([json.loads(text) for text in _texts(strategy, json.dumps(facts))])


def is_multi_worker(strategy: tf.distribute.Strategy) -> bool:
    """Whether the strategy spans several processes."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def _texts(strategy, text):
    """A text from each worker, in their order."""
    own = list(text.encode())
    sizes = _rows(strategy, [len(own)])[:, 0]
    rows = _rows(strategy, own + [0] * (sizes.max() - len(own)))
    return [bytes(row[:size]).decode() for row, size in zip(rows.tolist(), sizes, strict=True)]


def _rows(strategy, row):
    """A row of integers from each worker, of one length and exact in float32, in their order."""
    resolver = strategy.cluster_resolver
    hosts = len(resolver.cluster_spec().as_dict()["worker"])
    rows = np.zeros((hosts, 1 + len(row)), np.float32)
    rows[resolver.task_id] = [1, *row]
    sums = _sum(strategy, rows)
    return (sums[:, 1:] / sums[:, :1]).astype(int)  # the first column counts a worker's replicas


def _sum(strategy, value):
    """Sums floats over all replicas of all workers."""
    values = strategy.run(tf.constant, args=(value,))
    return strategy.reduce("SUM", values, axis=None).numpy()


def _split_cpu(number):
    if number == 0:
        return
    cores = os.cpu_count() or 1
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
    found = cluster.find(config)
    if found is None:
        raise InputError(
            f"strategy=multi_worker needs at least two workers: give {cluster.LIKE}, or omit "
            "--strategy to train on this machine alone."
        )
    seconds = config.worker_timeout
    _log.info("Waiting for %d workers, at most %d s", len(found.workers), seconds)
    versions = {"mentormix_tf": version.__version__, "tensorflow": tf.__version__}
    rendezvous.meet(found, seconds, {**versions, "keras": keras.__version__})
    os.environ["TF_CONFIG"] = found.tf_config()
    seconds = max(seconds, _SHORTEST_START)
    failed = f"TensorFlow could not connect worker {found.index} to the others"
    remedy = "see whether they have ended and why, and start all workers again"
    with time_limit(seconds, f"{failed} within {seconds} s: {remedy}."):
        try:
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
            wait_for_all(strategy)
        except (tf.errors.OpError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0].rstrip(".")
            raise InputError(f"{failed} ({reason}): {remedy}.") from error
    atexit.register(_close_pools)
    return strategy


def _close_pools():
    """Closes TensorFlow's pools of threads, which else end in a traceback after a lost worker."""
    for found in gc.get_objects():
        if isinstance(found, multiprocessing.pool.ThreadPool):
            found.close()

"""The workers of a run, as the flags or the scheduler's TF_CONFIG name them."""

import dataclasses
import json
import os

from mentormix_tf.config.devices import StrategyConfig, check_addresses
from mentormix_tf.errors import InputError, excerpt

__all__ = ["LIKE", "Cluster", "find"]

LIKE = (
    'TF_CONFIG like {"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": '
    '"worker", "index": 0}}, or --worker_hosts=host0:2222,host1:2222 --task_index=0'
)
_FIRST = ("chief", "master")  # names of the task that writes results; the second is TensorFlow 1's


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The workers of a run.

    Attributes:
        workers: the address of each; the first, the chief, writes the results.
        index: the position of this one.
    """

    workers: tuple[str, ...]
    index: int

    def tf_config(self) -> str:
        """The value of TF_CONFIG that names these workers."""
        task = {"type": "worker", "index": self.index}
        return json.dumps({"cluster": {"worker": self.workers}, "task": task})


def find(config: StrategyConfig) -> Cluster | None:
    """Finds the workers in the flags, otherwise in TF_CONFIG.

    Args:
        config: the devices; its `strategy` is ignored.

    Returns:
        The workers; None if this machine trains alone. It does so with a TF_CONFIG that has fewer
        than two tasks to train, which schedulers set for a job of one machine.

    Raises:
        InputError: TF_CONFIG can't be read, has tasks of other kinds, or is an evaluator's.
    """
    if config.worker_hosts:
        return Cluster(config.worker_hosts, config.task_index)
    text = os.environ.get("TF_CONFIG", "").strip()
    return _parse(text, f"TF_CONFIG={excerpt(text, 300)}") if text else None


def _parse(text, shown):
    try:
        read = json.loads(text)
        jobs = {job: list(hosts) for job, hosts in _object(read, "cluster").items() if hosts}
        task = _object(read, "task")
        kind, index = str(task.get("type", "worker")), task.get("index", 0)
        if isinstance(index, bool | float):
            raise ValueError(index)
        index = int(index)
        if not all(isinstance(host, str) for hosts in jobs.values() for host in hosts):
            raise ValueError(jobs)
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{shown} can't be read: it must be a {LIKE}.") from None
    evaluators = jobs.pop("evaluator", [])
    other = [job for job in (*jobs, kind) if job not in (*_FIRST, "worker", "evaluator")]
    if other:
        raise InputError(
            f"{shown} has a task of the kind {other[0]}, which training has no use for: name only "
            "a chief and workers."
        )
    if kind == "evaluator":
        raise InputError(
            f"{shown} makes this an evaluator, which training has no use for, as the first worker "
            f"evaluates: start the command on the workers only{', without it' * bool(evaluators)}."
        )
    return _order(jobs, kind, index, shown, has_task=bool(task))


def _order(jobs, kind, index, shown, has_task):
    """The workers in order, the chief first."""
    first = [host for job in _FIRST for host in jobs.get(job, [])]
    workers = (*first, *jobs.get("worker", []))
    if len(workers) < 2:
        return None
    if len(first) > 1:
        raise InputError(f"{shown} has {len(first)} chiefs: name one of them, and others workers.")
    check_addresses(workers, shown)
    of_kind = jobs.get(kind, [])
    if not has_task or not 0 <= index < len(of_kind):
        raise InputError(
            f"{shown} does not say which task this is: it must be a {LIKE}; the index counts from "
            "0 among the tasks of its type."
        )
    return Cluster(workers, index + (len(first) if kind == "worker" else 0))


def _object(parent, name):
    """An entry that is an object, empty if it is missing."""
    entry = parent.get(name)
    if entry is None:
        return {}
    if not isinstance(entry, dict):
        raise TypeError(entry)
    return entry

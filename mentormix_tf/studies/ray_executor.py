"""Trains the runs of a study on a Ray cluster."""

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

from etils import epath

from mentormix_tf.config import RunConfig
from mentormix_tf.errors import InputError
from mentormix_tf.studies import ray_cluster, ray_worker
from mentormix_tf.studies.ray_worker import Driver

__all__ = ["RayExecutor"]

_MOST_RESTARTS = 10
_SECONDS_TO_SAVE = 60
_SECONDS_WITHOUT_HEAD = 20  # after 60, Ray itself would end this process


class RayExecutor:
    """An `executor.Executor` that trains on a Ray cluster: each run is a task.

    If a node dies, Ray starts its runs again on another, where they resume from their last
    checkpoint.

    Args:
        address: HOST:PORT of the cluster's head node, or auto for the one of this machine.
        cpus_per_run: how many CPUs each run gets, which may be a fraction.
        gpus_per_run: how many GPUs each run gets, which may be a fraction.
    """

    def __init__(self, address: str, cpus_per_run: float, gpus_per_run: float):
        needs = {"CPU": cpus_per_run, "GPU": gpus_per_run}
        self._address = address
        self._needs = {name: need for name, need in needs.items() if need}
        self._tasks: dict[Any, str] = {}
        self._driver: Driver | None = None
        self._head, self._answered = "", 0.0

    @contextlib.contextmanager
    def session(self, folder: epath.Path) -> Iterator[None]:
        """See `Executor`."""
        with ray_cluster.connected(self._address), ray_cluster.driver(folder) as self._driver:
            import ray

            nodes = ray_cluster.nodes_for(self._address, self._needs)
            ray_cluster.check_nodes(self._driver, nodes)
            self._head, self._answered = ray.get_runtime_context().gcs_address, time.monotonic()
            try:
                yield
            finally:
                self._stop()

    def room(self) -> int:
        """See `Executor`."""
        import ray

        if ray_cluster.answers(self._head):
            self._answered = time.monotonic()
        elif time.monotonic() - self._answered < _SECONDS_WITHOUT_HEAD:
            return 0
        else:
            self._tasks.clear()  # which nobody is left to cancel
            raise InputError(
                f"ray_address={self._address}: the cluster's head node no longer answers: start a "
                "cluster again, and then the same command, which continues the study."
            )
        # Twice as many as train at once: new nodes have work, and an autoscaler sees the need.
        return 2 * max(1, ray_cluster.runs_at_once(ray.nodes(), self._needs)) - len(self._tasks)

    def start(self, name: str, config: RunConfig, path: epath.Path) -> None:
        """See `Executor`."""
        import ray

        assert self._driver is not None, "runs are started in a session"
        task = ray.remote(ray_worker.train).options(
            name=name,
            num_cpus=self._needs.get("CPU", 0),
            num_gpus=self._needs.get("GPU", 0),
            max_retries=_MOST_RESTARTS,
            scheduling_strategy="SPREAD",
        )
        self._tasks[task.remote(self._driver, config, os.path.abspath(path))] = name

    def ended(self) -> Iterator[tuple[str, str]]:
        """See `Executor`."""
        import ray
        from ray.exceptions import RayError

        waiting = list(self._tasks)
        for task in ray.wait(waiting, num_returns=len(waiting), timeout=0)[0] if waiting else ():
            name = self._tasks.pop(task)
            try:
                yield name, ray.get(task)
            except RayError as error:
                if mistake := ray_cluster.mistake(error):
                    raise InputError(mistake) from error
                yield name, ray_cluster.reason(error)

    def _stop(self):
        import ray

        for task in self._tasks:
            ray.cancel(task)
        if self._tasks:
            ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=_SECONDS_TO_SAVE)

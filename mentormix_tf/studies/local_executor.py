"""Trains the runs of a study on this machine."""

import contextlib
import os
from collections.abc import Iterator
from multiprocessing.process import BaseProcess

from etils import epath

from mentormix_tf.config import RunConfig
from mentormix_tf.studies import run_process

__all__ = ["LocalExecutor"]


class LocalExecutor:
    """An `executor.Executor` that trains on this machine.

    Concurrent runs get one of the GPUs in CUDA_VISIBLE_DEVICES each, in turn; a single run gets
    all of them.

    Args:
        jobs: how many runs to train at once.
    """

    def __init__(self, jobs: int):
        self._slots: list[tuple[str, epath.Path, BaseProcess] | None] = [None] * jobs

    @contextlib.contextmanager
    def session(self, folder: epath.Path) -> Iterator[None]:
        """See `Executor`."""
        try:
            yield
        finally:
            for _, _, process in filter(None, self._slots):
                process.terminate()
            for _, _, process in filter(None, self._slots):
                process.join()

    def room(self) -> int:
        """See `Executor`."""
        return self._slots.count(None)

    def start(self, name: str, config: RunConfig, path: epath.Path) -> None:
        """See `Executor`."""
        slot, jobs = self._slots.index(None), len(self._slots)
        gpus = list(filter(None, os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")))
        gpu = gpus[slot % len(gpus)] if gpus and jobs > 1 else None
        self._slots[slot] = name, path, run_process.start(config, path, gpu)

    def ended(self) -> Iterator[tuple[str, str]]:
        """See `Executor`."""
        for slot, under_way in enumerate(self._slots):
            if under_way is not None and not under_way[2].is_alive():
                name, path, process = under_way
                self._slots[slot] = None
                yield name, run_process.failure(process.exitcode, path)

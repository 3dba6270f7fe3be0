"""The devices to train on."""

import dataclasses
from typing import Literal

from mentormix_tf.errors import InputError

__all__ = ["StrategyConfig"]


@dataclasses.dataclass(frozen=True)
class StrategyConfig:
    """The devices to train on.

    Args:
        strategy: cpu, one_device (the first GPU, if any), mirrored (all GPUs), multi_worker
            (several hosts) or tpu. auto chooses a TPU if there is one, otherwise several hosts if
            TF_CONFIG or worker_hosts lists them, otherwise all GPUs, otherwise the CPU.
        tpu: local on a TPU VM, otherwise the name or address of the TPU.
        num_virtual_devices: number of virtual devices to split the CPU into, to try
            --strategy=mirrored without GPUs; 0 for no split.
        worker_hosts: address and port of each worker, for --strategy=multi_worker without
            TF_CONFIG; the same list on every worker.
        task_index: position of this worker in worker_hosts; the first, 0, writes the results.
        worker_timeout: seconds to wait for the other workers.
    """

    strategy: Literal["auto", "cpu", "one_device", "mirrored", "multi_worker", "tpu"] = "auto"
    tpu: str = ""
    num_virtual_devices: int = 0
    worker_hosts: tuple[str, ...] = ()
    task_index: int = 0
    worker_timeout: int = 300

    def __post_init__(self) -> None:
        for name in ("num_virtual_devices", "task_index"):
            if getattr(self, name) < 0:
                raise InputError(f"{name}={getattr(self, name)} must not be negative.")
        if self.worker_timeout < 1:
            raise InputError(f"worker_timeout={self.worker_timeout} must be at least 1 second.")

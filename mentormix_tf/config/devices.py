"""The devices to train on."""

import dataclasses
from typing import Literal

from mentormix_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class StrategyConfig:
    """The devices to train on.

    Args:
        strategy: cpu, one_device (the first GPU, if any), mirrored (all GPUs), multi_worker
            (several hosts) or tpu; auto takes a TPU if there is one, else several hosts if
            TF_CONFIG or worker_hosts names them, else all GPUs, else the CPU.
        tpu: the TPU: local on a TPU VM, else its name or address.
        num_virtual_devices: parts to split the CPU into, to try --strategy=mirrored without GPUs.
        worker_hosts: address and port of each worker, for --strategy=multi_worker without
            TF_CONFIG; the same list for all.
        task_index: which of worker_hosts this process is; the first writes the results.
        worker_timeout: seconds to wait for the other workers.
    """

    strategy: Literal["auto", "cpu", "one_device", "mirrored", "multi_worker", "tpu"] = "auto"
    tpu: str = ""
    num_virtual_devices: int = 0
    worker_hosts: tuple[str, ...] = ()
    task_index: int = 0
    worker_timeout: int = 300

    def __post_init__(self):
        for name in ("num_virtual_devices", "task_index"):
            if getattr(self, name) < 0:
                raise InputError(f"{name}={getattr(self, name)} must not be negative.")
        if self.worker_timeout < 1:
            raise InputError(f"worker_timeout={self.worker_timeout} must be at least 1 second.")

"""The devices to train on."""

import dataclasses
import ipaddress
import re
from collections.abc import Sequence
from typing import Literal

from mentormix_tf.errors import InputError, excerpt

__all__ = ["SERVICE_SCHEME", "StrategyConfig", "check_addresses", "split_address"]

SERVICE_SCHEME = "grpc://"
_LONGEST_WAIT = (
    7 * 24 * 3600
)  # seconds; the clocks that enforce it count no further than some weeks
# A flag that chooses devices -> the strategy that uses it. Two such flags contradict each other.
_STRATEGY_OF = {
    "tpu": "tpu",
    "worker_hosts": "multi_worker",
    "num_virtual_devices": "mirrored",
}


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
        worker_timeout: seconds to wait for the other workers, and for the servers of data_service.
        data_service: addresses of servers that make the training batches instead of this host, such
            as grpc://host0:5050; python -m mentormix_tf.data_service starts one.
    """

    strategy: Literal["auto", "cpu", "one_device", "mirrored", "multi_worker", "tpu"] = "auto"
    tpu: str = ""
    num_virtual_devices: int = 0
    worker_hosts: tuple[str, ...] = ()
    task_index: int = 0
    worker_timeout: int = 300
    data_service: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("num_virtual_devices", "task_index"):
            if getattr(self, name) < 0:
                raise InputError(f"{name}={getattr(self, name)} must not be negative.")
        if not 1 <= self.worker_timeout <= _LONGEST_WAIT:
            raise InputError(
                f"worker_timeout={self.worker_timeout} must be from 1 to {_LONGEST_WAIT} seconds."
            )
        self._check_contradictions()
        self._check_workers()
        check_addresses(self.data_service, self._shown("data_service"), SERVICE_SCHEME)

    def _check_contradictions(self):
        given = [name for name in _STRATEGY_OF if getattr(self, name)]
        for name in given:
            if self.strategy not in ("auto", _STRATEGY_OF[name]):
                raise InputError(
                    f"{self._shown(name)} is for --strategy={_STRATEGY_OF[name]}, but strategy="
                    f"{self.strategy}: omit one of them."
                )
        if len(given) > 1:
            shown = " and ".join(self._shown(name) for name in given)
            raise InputError(f"{shown} name different devices: omit all but one of them.")

    def _check_workers(self):
        if not self.worker_hosts:
            if self.task_index:
                raise InputError(
                    f"task_index={self.task_index} is a position in worker_hosts, which is not "
                    "given: give --worker_hosts, too, or omit --task_index."
                )
            return
        shown = self._shown("worker_hosts")
        check_addresses(self.worker_hosts, shown)
        if len(self.worker_hosts) < 2:
            raise InputError(
                f"{shown} names one worker, but several hosts are at least two: name all of them, "
                "or omit the flag to train on this one."
            )
        if self.task_index >= len(self.worker_hosts):
            raise InputError(
                f"task_index={self.task_index} is no position in {shown}: choose one from 0 to "
                f"{len(self.worker_hosts) - 1}."
            )

    def _shown(self, name):
        value = getattr(self, name)
        text = ",".join(value) if isinstance(value, tuple) else str(value)
        return f"{name}={excerpt(text)}"


def check_addresses(addresses: Sequence[str], setting: str, scheme: str = "") -> None:
    """Checks that addresses can be used, and that no two are the same.

    Args:
        addresses: the address of each worker or server.
        setting: the setting that has them, with its value, for the error message.
        scheme: what each begins with.

    Raises:
        InputError: an address has no name or no valid port, or is there twice.
    """
    seen = set()
    for address in addresses:
        try:
            if not address.startswith(scheme):
                raise ValueError(address)
            name, port = split_address(address.removeprefix(scheme))
        except ValueError:
            start = f"{scheme}, " if scheme else ""
            raise InputError(
                f"{setting} has the address '{excerpt(address)}': write each as {start}a host's "
                f"name and a port from 1 to 65535, such as {scheme}host0:2222 or {scheme}"
                "[::1]:2222."
            ) from None
        if (name.lower(), port) in seen:
            raise InputError(f"{setting} has {address} twice: give each its own address.")
        seen.add((name.lower(), port))


def split_address(address: str) -> tuple[str, int]:
    """Splits an address such as host0:2222 or [::1]:2222 into its host's name and its port.

    Raises:
        ValueError: it has another form.
    """
    match = re.fullmatch(r"(?:\[([^]]+)\]|([\w.-]+)):([0-9]{1,5})", address, re.ASCII)
    if match is None or not 0 < int(match[3]) < 2**16:
        raise ValueError(address)
    if match[1]:
        return str(ipaddress.IPv6Address(match[1])), int(match[3])
    match[2].encode("idna")  # as the resolver will: UnicodeError, a ValueError, if it can't
    return match[2], int(match[3])

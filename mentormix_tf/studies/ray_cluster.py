"""The Ray cluster that a study is trained on: finding it, and what its nodes have."""

import contextlib
import logging
import os
import signal
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etils import epath

from mentormix_tf import files
from mentormix_tf.errors import InputError
from mentormix_tf.studies import ray_worker
from mentormix_tf.studies.ray_worker import Driver

__all__ = [
    "answers",
    "check_nodes",
    "connected",
    "driver",
    "mistake",
    "nodes_for",
    "reason",
    "runs_at_once",
]

_SECONDS_TO_ANSWER = 120


def _check_address(address):
    """Checks that a cluster answers at an address, for which Ray itself would wait long."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise InputError(f"ray_address={address} must be auto, or HOST:PORT of the head node.")
    if not answers(address):
        raise _no_cluster(address)


def answers(address: str) -> bool:
    """Whether a server answers at an address, HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError):
        return False
    return True


def _no_cluster(address):
    return InputError(
        f"ray_address={address}: no Ray cluster answers there: start one with `ray start --head`, "
        "and run this command on one of its nodes."
    )


@contextlib.contextmanager
def connected(address: str) -> Iterator[None]:
    """A context in which this process is connected to a cluster.

    Args:
        address: HOST:PORT of its head node, or auto.

    Raises:
        InputError: Ray is not installed, or no cluster can be used at the address.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError("executor=ray needs Ray: pip install 'mentormix-tf[ray]'.") from error
    _check_address(address)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise _no_cluster(address) from error
    except RuntimeError as error:  # other versions of Ray or Python
        raise InputError(f"ray_address={address}: {' '.join(str(error).split())}") from error
    signal.signal(signal.SIGTERM, on_sigterm)  # which Ray has replaced
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def driver(folder: epath.Path) -> Iterator[Driver]:
    """A context in which a study's folder has a file by which nodes recognize it.

    Args:
        folder: the study's folder.
    """
    secret = uuid.uuid4().hex
    token = epath.Path(os.path.abspath(folder)) / f".token-{secret[:8]}"
    files.write(token, secret)
    try:
        yield Driver(os.getcwd(), str(folder), str(token), secret, ray_worker.versions())
    finally:
        token.unlink(missing_ok=True)


def nodes_for(address: str, needs: Mapping[str, float]) -> list[dict[str, Any]]:
    """The nodes that a run fits on.

    Args:
        address: the cluster's, for the message.
        needs: how many CPUs and GPUs a run needs, by Ray's names of them.

    Raises:
        InputError: there is none.
    """
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    for name, needed in needs.items():
        most = max((node["Resources"].get(name, 0) for node in alive), default=0)
        if needed > most:
            raise InputError(
                f"{name.lower()}s_per_run={needed:g} is more than any node of the cluster at "
                f"ray_address={address} has, which is {most:g}: ask for fewer, or add a node "
                "that has them."
            )
    fitting = [node for node in alive if runs_at_once([node], needs)]
    if not fitting:
        words = " and ".join(f"{name.lower()}s_per_run={needs[name]:g}" for name in needs)
        raise InputError(
            f"No node of the cluster at ray_address={address} has {words}: ask for fewer, or add "
            "a node that has them."
        )
    return fitting


def runs_at_once(nodes: Sequence[Mapping[str, Any]], needs: Mapping[str, float]) -> int:
    """How many runs train at once on nodes.

    Args:
        nodes: descriptions of nodes, as Ray gives them.
        needs: see `nodes_for`.
    """
    return sum(
        min(int(node["Resources"].get(name, 0) / need + 1e-6) for name, need in needs.items())
        for node in nodes
        if node["Alive"]
    )


def check_nodes(here: Driver, nodes: Sequence[Mapping[str, Any]]) -> None:
    """Checks on each node that it can train for a study.

    Args:
        here: the study's process.
        nodes: descriptions of the nodes, as Ray gives them.

    Raises:
        InputError: one can't.
    """
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task, answers = ray.remote(ray_worker.check), []
    for node in nodes:
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        options = task.options(num_cpus=0, max_retries=0, scheduling_strategy=there)
        address = node["NodeManagerAddress"]  # which nodes of one machine share
        answers.append((address, options.remote(here, address)))
    for address, answer in answers:
        try:
            ray.get(answer, timeout=_SECONDS_TO_ANSWER)
        except RayError as error:
            raise InputError(
                mistake(error) or f"The node {address} does not work: {reason(error)}."
            ) from error


def mistake(error: Exception) -> str:
    """The sentence of an `InputError` that a task raised; "" if it raised another error."""
    cause = getattr(error, "cause", None)
    return str(cause) if isinstance(cause, InputError) else ""


def reason(error: Exception) -> str:
    """Why a task failed, in a few words."""
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {files.reason(cause)}"

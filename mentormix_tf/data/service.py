"""Servers that make training batches for a trainer whose own processors are too slow.

A server is a dispatcher of TensorFlow's tf.data service with one worker. Several workers of one
dispatcher deliver batches in whatever order they finish them, so each has its own dispatcher: of n
servers, the i-th makes the batches of each n-th step, from the i-th on, and the trainer takes one
from each in turn.
"""

import contextlib
import dataclasses
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf
from etils import epath

from mentormix_tf.config.devices import SERVICE_SCHEME, split_address
from mentormix_tf.distribution.time_limit import time_limit
from mentormix_tf.errors import InputError, excerpt

__all__ = ["NO_SERVERS", "Servers", "serve"]

_CALL_SECONDS = 5.0  # to connect
_PAUSE = 2.0  # seconds between two looks at a server
_MOST_FAILURES = 5  # in succession, of a server that is there
_FORGET_SECONDS = 60  # after which a server drops the work for a trainer that is gone
_OUT_OF_TURN = "a batch came out of turn"


@dataclasses.dataclass(frozen=True)
class Servers:
    """The servers of a run.

    Attributes:
        addresses: the address of each, such as grpc://host:5050.
        seconds: how long to wait for their first answer.
    """

    addresses: tuple[str, ...] = ()
    seconds: int = 300

    def check(self, folder: epath.Path, paths: Sequence[str]) -> None:
        """Waits for the servers, and checks that each can read a split; it may end the process.

        Args:
            folder: the folder of the split.
            paths: its files of training examples.

        Raises:
            InputError: a server does not answer in time, can't read a file, or has other workers
                than its own.
        """
        deadline = time.monotonic() + self.seconds
        for address in self.addresses:
            _wait(address, deadline, f"data_service={address}: no answer within {self.seconds} s")
            left = max(1, round(deadline - time.monotonic()))
            silent = (
                f"data_service={address}: another program listens there, or its worker can't be "
                "reached under that name: start python -m mentormix_tf.data_service --address="
                f"{address.removeprefix(SERVICE_SCHEME)} there."
            )
            try:
                # TensorFlow itself waits forever.
                with time_limit(left, silent):
                    readable = len(list(_distributed(_first_records(paths), address)))
            except tf.errors.OpError as error:
                raise InputError(
                    f"data_service={address} can't read {folder} ({_reason(error)}): keep it under "
                    "the same path on each server, as on storage that all share, and use one "
                    "version of TensorFlow."
                ) from error
            if readable > len(paths):
                raise InputError(
                    f"data_service={address} has several workers, whose batches have no order: "
                    "start python -m mentormix_tf.data_service once for each address."
                )

    def distributed(self, share: Callable[[int, int], tf.data.Dataset]) -> tf.data.Dataset:
        """The batches of all steps, made by the servers.

        Args:
            share: returns the endless batches of each n-th step from the i-th on, given i and n.

        Returns:
            The batches, in order. Reading them fails if one came out of turn, as after a worker was
            started again.
        """
        count = len(self.addresses)
        parts = [
            _distributed(share(i, count).enumerate(), address)
            for i, address in enumerate(self.addresses)
        ]
        turns = tf.data.Dataset.range(count).repeat()
        taken = tf.data.Dataset.choose_from_datasets(parts, turns).enumerate()

        def in_turn(turn: tf.Tensor, numbered: Any) -> Any:
            number, batch = numbered
            is_next = tf.debugging.Assert(number == turn // count, [_OUT_OF_TURN])
            with tf.control_dependencies([is_next]):
                return {name: tf.identity(values) for name, values in batch.items()}

        return taken.map(in_turn)

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """A context for training, which a lost server ends instead of letting it wait forever.

        A server that stops ends the process with status 1 and a sentence, as TensorFlow's wait
        for it can't be interrupted.

        Raises:
            InputError: a server failed, or was started again.
        """
        ended = threading.Event()
        for address in self.addresses:
            threading.Thread(target=_watch, args=(address, ended), daemon=True).start()
        try:
            yield
        except tf.errors.OpError as error:
            if not self.addresses or not re.search(f"Failed to get|{_OUT_OF_TURN}", str(error)):
                raise
            raise InputError(_lost(",".join(self.addresses), _reason(error))) from error
        finally:
            ended.set()


NO_SERVERS = Servers()


def serve(address: str) -> None:
    """Makes batches for trainers until the process gets SIGTERM.

    Args:
        address: host's name and port under which trainers reach it; the worker has the next port.

    Raises:
        InputError: another process listens on one of the ports.
    """
    name, port = address.rpartition(":")[0], split_address(address)[1]
    for each in (port, port + 1):
        try:
            socket.create_server(("", each)).close()
        except OSError as error:
            raise InputError(
                f"address={address}: can't listen on port {each}: {os.strerror(error.errno or 0)}: "
                "choose a port which is free, as is the next."
            ) from error
    tf.config.set_visible_devices([], "GPU")
    service, protocol = tf.data.experimental.service, SERVICE_SCHEME.removesuffix("://")
    dispatcher = service.DispatchServer(
        service.DispatcherConfig(
            port=port,
            protocol=protocol,
            job_gc_check_interval_ms=1000 * _FORGET_SECONDS // 4,
            job_gc_timeout_ms=1000 * _FORGET_SECONDS,
        )
    )
    worker = service.WorkerServer(
        service.WorkerConfig(
            dispatcher_address=f"localhost:{port}",
            worker_address=f"{name}:{port + 1}",
            port=port + 1,
            protocol=protocol,
        )
    )
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    print(f"Makes batches for --data_service={SERVICE_SCHEME}{address}", flush=True)
    stopped.wait()
    del worker, dispatcher  # which stops them


def _distributed(dataset: tf.data.Dataset, address: str) -> tf.data.Dataset:
    service = tf.data.experimental.service
    # Uncompressed, as unpacking would take the trainer's processors.
    whole = service.distribute(service.ShardingPolicy.OFF, address, compression=None)
    return dataset.apply(whole)


def _first_records(paths: Sequence[str]) -> tf.data.Dataset:
    """The first record of each file, as its length."""
    return tf.data.Dataset.from_tensor_slices(list(paths)).interleave(
        lambda path: tf.data.TFRecordDataset(path).take(1).map(tf.strings.length),
        num_parallel_calls=tf.data.AUTOTUNE,
    )


def _connect(address: str) -> None:
    """Raises OSError if nothing listens at an address."""
    host = split_address(address.removeprefix(SERVICE_SCHEME))
    socket.create_connection(host, _CALL_SECONDS).close()


def _wait(address: str, deadline: float, silent: str) -> None:
    while True:
        try:
            return _connect(address)
        except OSError as error:
            if time.monotonic() > deadline:
                raise InputError(
                    f"{silent} ({error.strerror or error}): start python -m "
                    "mentormix_tf.data_service there, or omit the flag to make batches here."
                ) from error
            time.sleep(min(_PAUSE, 0.2))


def _watch(address: str, ended: threading.Event) -> None:
    """Ends the process when a server has been silent for some time."""
    failures = 0
    while not ended.wait(_PAUSE):
        try:
            _connect(address)
            failures = 0
        except OSError as error:
            failures += 1
            if failures == _MOST_FAILURES:
                with time_limit(1, _lost(address, error.strerror or str(error))):
                    ended.wait()


def _lost(addresses: str, reason: str) -> str:
    return (
        f"data_service={addresses}: a server has failed ({reason}): start it again, and then the "
        "same training, which resumes from its last checkpoint."
    )


def _reason(error: tf.errors.OpError) -> str:
    """The cause in an error that passed through TensorFlow's servers."""
    text = str(error).partition("[Op:")[0].partition("\n")[0]
    return excerpt(re.split(r"Failed to get [a-z ]+: |\}\} ", text)[-1])

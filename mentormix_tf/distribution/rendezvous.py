"""The workers of a run meet before TensorFlow starts, which would wait forever for an absent one.

Each worker listens on its own address, which TensorFlow takes over afterwards, and calls all
others. In each call, both sides say who they are. A worker leaves when it has the word of all
others and all others have its own, so that none is left behind.
"""

import contextlib
import dataclasses
import json
import os
import socket
import threading
import time
from collections.abc import Mapping

from mentormix_tf.config.devices import split_address
from mentormix_tf.distribution import agreement
from mentormix_tf.distribution.cluster import Cluster
from mentormix_tf.errors import InputError, excerpt

__all__ = ["meet"]

_GREETING, _THANKS = b"mentormix_tf worker ", b"mentormix_tf thanks\n"
_LONGEST = 2**20  # bytes of a line
_CALL_SECONDS = 5.0  # for one call as a whole
_PAUSE = 0.2  # seconds between two calls
_SHOWN = 4  # absent workers to name


def meet(cluster: Cluster, seconds: int, facts: Mapping[str, str]) -> None:
    """Waits until this worker and all others have met, and checks that they belong together.

    Args:
        cluster: the workers.
        seconds: how long to wait.
        facts: what must be the same on all workers, by name.

    Raises:
        InputError: this worker can't listen on its address, another one did not answer in time, has
            other addresses or the wrong index, or differs in a fact.
    """
    meeting, address = _Meeting(cluster, facts), cluster.workers[cluster.index]
    deadline = time.monotonic() + seconds
    try:
        server = _listen(split_address(address)[1])
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise InputError(
            f"task_index={cluster.index} can't listen on {address}: {reason}: name a free port in "
            "the addresses that all workers are given, and give each worker its own task_index."
        ) from error
    with server:
        meeting.call_all()
        while not meeting.is_over() and time.monotonic() < deadline:
            meeting.answer_next(server)
    meeting.end()
    if meeting.conflict:
        raise InputError(
            f"{meeting.conflict}: give all workers the same list of addresses, and each its own "
            "index in it."
        )
    if absent := meeting.absent():
        more = f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
        raise InputError(
            f"worker_timeout={seconds}: no answer in that time from {', '.join(absent[:_SHOWN])}"
            f"{more}: start every worker with the same hosts and its own task_index, and make sure "
            "that they can reach each other's ports."
        )
    agreement.check([meeting.words[i].facts for i in range(len(cluster.workers))])


@dataclasses.dataclass(frozen=True)
class _Word:
    """What a worker says in a call."""

    index: int
    workers: tuple[str, ...]
    facts: Mapping[str, str]

    def line(self):
        return _GREETING + json.dumps(dataclasses.asdict(self)).encode() + b"\n"


class _Meeting:
    """What one worker knows of the others; threads for each call fill it in."""

    def __init__(self, cluster, facts):
        self.mine = _Word(cluster.index, cluster.workers, facts)
        self.words = {cluster.index: self.mine}
        self.conflict = ""
        self._others = [i for i in range(len(cluster.workers)) if i != cluster.index]
        self._reasons = dict.fromkeys(self._others, "no answer")  # why a call failed, by index
        self._informed = set()  # those that have this worker's word
        self._ended = threading.Event()

    def is_over(self):
        return bool(self.conflict) or not (self._reasons or set(self._others) - self._informed)

    def absent(self):
        """The workers that could not be called, or did not call, each with the reason."""
        reasons = {i: "it can't reach this worker" for i in self._others if i not in self._informed}
        reasons |= dict(self._reasons)
        return [f"{self.mine.workers[i]} ({reason})" for i, reason in sorted(reasons.items())]

    def end(self):
        self._ended.set()

    def call_all(self):
        for index in self._others:
            threading.Thread(target=self._call, args=(index,), daemon=True).start()

    def answer_next(self, server):
        """Answers the next call in a thread, if there is one soon."""
        with contextlib.suppress(TimeoutError):
            connection, _ = server.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _call(self, index):
        """Calls a worker until it answers."""
        address = self.mine.workers[index]
        while not self._ended.is_set():
            try:
                with socket.create_connection(split_address(address), _CALL_SECONDS) as connection:
                    if connection.getsockname() == connection.getpeername():
                        raise ConnectionRefusedError  # TCP may connect a free port with itself
                    word = _exchange(connection, self.mine)
                    connection.sendall(_THANKS)
            except (OSError, ValueError) as error:
                self._reasons[index] = _reason(error)
                self._ended.wait(_PAUSE)
                continue
            self._hear(word)
            if word.index != index:
                self.conflict = (
                    f"{address} is the address of worker {index}, but worker {word.index} answers"
                )
            del self._reasons[index]
            return

    def _answer(self, connection):
        """Answers a call, which may be a stranger's."""
        with contextlib.suppress(OSError, ValueError), connection:
            deadline = time.monotonic() + _CALL_SECONDS
            word = _parse(_read_line(connection, _GREETING, deadline))
            connection.sendall(self.mine.line())
            _read_line(connection, _THANKS, deadline)
            if word.index == self.mine.index:
                self.conflict = f"Two workers have the index {word.index}"
            self._hear(word)
            self._informed.add(word.index)

    def _hear(self, word):
        if word.workers != self.mine.workers:
            self.conflict = (
                f"Worker {word.index} has the addresses {_list(word)}, but worker "
                f"{self.mine.index} has {_list(self.mine)}"
            )
        self.words[word.index] = word


def _listen(port):
    with contextlib.suppress(OSError, ValueError):  # a host may lack IPv6
        server = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        server.settimeout(_PAUSE)
        return server
    server = socket.create_server(("", port))
    server.settimeout(_PAUSE)
    return server


def _exchange(connection, mine):
    """Says a word to whoever listens, and returns the other's."""
    connection.sendall(mine.line())
    return _parse(_read_line(connection, _GREETING, time.monotonic() + _CALL_SECONDS))


def _read_line(connection, start, deadline):
    """Reads a line that starts in a known way; a stranger may send anything, or nothing."""
    line = bytearray()
    while not line.endswith(b"\n"):
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        line += (part := connection.recv(2**16))
        if not part or len(line) > _LONGEST or line[: len(start)] != start[: len(line)]:
            raise ValueError("not a worker")
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(line)


def _parse(line):
    """The word in a line; raises ValueError for anything else."""
    try:
        said = json.loads(line[len(_GREETING) :])
        index, workers, facts = said["index"], said["workers"], said["facts"]
        texts = [*workers, *facts, *facts.values()]
        if index not in range(len(workers)) or not all(isinstance(text, str) for text in texts):
            raise ValueError(said)
        return _Word(index, tuple(workers), facts)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(line) from error


def _list(word):
    return excerpt(",".join(word.workers))


def _reason(error):
    if isinstance(error, socket.gaierror):
        return "its name is unknown"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, TimeoutError):
        return "no word came"
    if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
        return os.strerror(error.errno)
    return "another program listens there"

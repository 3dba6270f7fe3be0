"""Workers meet in threads of one process; strangers listen on the ports of others."""

import contextlib
import re
import socket
import threading
import time

import pytest

from mentormix_tf import InputError
from mentormix_tf.config.devices import split_address
from mentormix_tf.distribution import rendezvous
from mentormix_tf.distribution.cluster import Cluster
from tests.distribution import strangers
from tests.distribution.test_replicas import free_ports

SAME = {"keras": "3"}


def addresses(number):
    return tuple(f"localhost:{port}" for port in free_ports(number))


def meet_all(*calls, seconds=20):
    """Lets workers meet, each in a thread; returns the error of each, "" for none."""
    errors = [None] * len(calls)

    def run(i, cluster, facts):
        try:
            rendezvous.meet(cluster, seconds, facts)
            errors[i] = ""
        except InputError as error:
            errors[i] = str(error)

    threads = [threading.Thread(target=run, args=(i, *call)) for i, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


@pytest.mark.parametrize("number", [2, 5])
def test_workers_meet(number):
    workers = addresses(number)
    started = time.monotonic()
    errors = meet_all(*((Cluster(workers, i), SAME) for i in range(number)))
    assert errors == [""] * number
    assert time.monotonic() - started < 10


def test_over_ipv6():
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    workers = tuple(f"[::1]:{port}" for port in free_ports(2))
    assert meet_all(*((Cluster(workers, i), SAME) for i in range(2))) == ["", ""]


def test_a_worker_that_comes_late():
    workers, ended = addresses(2), []
    early = threading.Thread(
        target=lambda: ended.append(meet_all((Cluster(workers, 0), SAME))), daemon=True
    )
    early.start()
    time.sleep(1)
    assert not ended
    assert meet_all((Cluster(workers, 1), SAME)) == [""]
    early.join()
    assert ended == [[""]]


def test_ports_are_free_afterwards():
    workers = addresses(2)
    for _ in range(3):
        assert meet_all(*((Cluster(workers, i), SAME) for i in range(2))) == ["", ""]


def test_all_name_the_fact_that_differs():
    workers = addresses(3)
    facts = [SAME, SAME, {"keras": "4\nTraceback"}]
    errors = meet_all(*((Cluster(workers, i), facts[i]) for i in range(3)))
    (error,) = set(errors)
    assert error.startswith("Worker 0 has keras=3, but worker 2 has keras=4 Traceback: start all")


def test_one_index_twice():
    first, second = addresses(2)
    # Each can listen, as on two hosts.
    errors = meet_all((Cluster((first, second), 0), SAME), (Cluster((second, first), 0), SAME))
    assert all("same list of addresses, and each its own index" in error for error in errors)


def test_an_address_of_itself():
    (first,) = addresses(1)
    itself = first.replace("localhost", "127.0.0.1")
    (error,) = meet_all((Cluster((first, itself), 0), SAME))
    assert "same list of addresses, and each its own index" in error


def test_lists_of_other_lengths():
    workers = addresses(3)
    errors = meet_all((Cluster(workers, 0), SAME), (Cluster(workers[:2], 1), SAME))
    shown = [",".join(workers), ",".join(workers[:2])]
    for mine, other, error in zip(shown, reversed(shown), errors, strict=True):
        assert f" has the addresses {other}, but worker" in error and f" has {mine}: give" in error


def test_strangers_in_the_places_of_workers(monkeypatch):
    monkeypatch.setattr(rendezvous, "_SHOWN", len(strangers.ALL))
    (mine,) = addresses(1)
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(strangers.listening(each)) for each in strangers.ALL]
        others = [f"localhost:{port}" for port in ports]
        started = time.monotonic()
        (error,) = meet_all((Cluster((mine, *others), 0), SAME), seconds=1)
        assert time.monotonic() - started < 5
    assert error.startswith("worker_timeout=1: no answer in that time from localhost:")
    assert error.endswith(".") and "\n" not in error
    reasons = dict(zip(strangers.ALL, re.findall(r"localhost:\d+ \((.*?)\)", error), strict=True))
    assert reasons.pop(strangers.silent) == reasons.pop(strangers.slow) == "no answer"
    assert set(reasons.values()) == {"another program listens there"}


def test_a_listener_that_repeats_what_it_hears():
    (mine,) = addresses(1)
    with strangers.listening(strangers.echo) as port:
        (error,) = meet_all((Cluster((mine, f"localhost:{port}"), 0), SAME))
    assert f"localhost:{port} is the address of worker 1, but worker 0 answers: give" in error


def test_strangers_who_call_are_ignored():
    workers, ended = addresses(2), []
    early = threading.Thread(target=lambda: ended.append(meet_all((Cluster(workers, 0), SAME))))
    early.start()
    time.sleep(0.5)
    with contextlib.ExitStack() as calls:
        for said in (b"", b"\n", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100_000, *strangers.WORDS):
            call = socket.create_connection(split_address(workers[0]))
            calls.enter_context(call)
            with contextlib.suppress(ConnectionError):
                call.sendall(said)
        assert meet_all((Cluster(workers, 1), SAME)) == [""]
    early.join()
    assert ended == [[""]]


def test_unreachable_addresses():
    (mine,) = addresses(1)
    others = ("no.such.host.invalid:2222", "localhost:1", "[100::1]:2222")
    (error,) = meet_all((Cluster((mine, *others), 0), SAME), seconds=2)
    for other in others:
        assert f"{other} (" in error
    assert "localhost:1 (nothing listens there)" in error


def test_many_absent_workers_are_counted():
    (mine,) = addresses(1)
    others = tuple(f"localhost:{port}" for port in range(1, 8))
    (error,) = meet_all((Cluster((mine, *others), 0), SAME), seconds=1)
    assert "localhost:4 (nothing listens there) and 3 more: start" in error


def test_port_in_use():
    with socket.create_server(("", 0)) as server:
        mine = f"localhost:{server.getsockname()[1]}"
        (error,) = meet_all((Cluster((mine, "localhost:1"), 0), SAME))
    assert f"can't listen on {mine}: Address already in use" in error

"""Listeners that are no workers, for tests of workers that call them."""

import contextlib
import json
import socket
import threading
import time

GREETING = b"mentormix_tf worker "


def silent(connection):
    time.sleep(30)


def closes(connection):
    pass


def garbage(connection):
    while True:
        connection.sendall(b"\x00\xff" * 4096)


def web_server(connection):
    connection.recv(2**16)
    connection.sendall(b"HTTP/1.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def echo(connection):
    while received := connection.recv(2**16):
        connection.sendall(received)


def slow(connection):
    for letter in GREETING + b"x" * 1000:
        connection.sendall(bytes([letter]))
        time.sleep(0.1)


def endless_line(connection):
    connection.sendall(GREETING)
    while True:
        connection.sendall(b"x" * 65536)


def word(line):
    """A listener that says a line to all who call."""

    def stranger(connection):
        connection.sendall(line)
        time.sleep(0.5)

    return stranger


WORDS = [  # that are almost a worker's
    GREETING + b"\n",
    GREETING + b"\xff\xfe\n",
    GREETING + b"[" * 100_000 + b"\n",
    GREETING + b"9" * 10_000 + b"\n",
    *(
        GREETING + json.dumps(said).encode() + b"\n"
        for said in [
            [],
            {},
            {"index": 1},
            {"index": "0", "workers": ["a:1"], "facts": {}},
            {"index": 7, "workers": ["a:1"], "facts": {}},
            {"index": -1, "workers": ["a:1"], "facts": {}},
            {"index": 0.5, "workers": ["a:1"], "facts": {}},
            {"index": 0, "workers": 5, "facts": {}},
            {"index": 0, "workers": [5], "facts": {}},
            {"index": 0, "workers": ["a:1"], "facts": []},
            {"index": 0, "workers": ["a:1"], "facts": {"keras": 3}},
        ]
    ),
]
ALL = (silent, closes, garbage, web_server, slow, endless_line, *map(word, WORDS))


@contextlib.contextmanager
def listening(stranger):
    """A context in which a stranger answers every call to a port; yields the port."""

    def answer(connection):
        with contextlib.suppress(OSError), connection:
            stranger(connection)

    def serve(server):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)

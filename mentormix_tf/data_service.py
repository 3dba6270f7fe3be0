"""python -m mentormix_tf.data_service: makes training batches for a trainer on another host."""

import dataclasses
import sys
from collections.abc import Sequence

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.config.devices import split_address
from mentormix_tf.errors import InputError, excerpt

__all__ = ["SECTIONS", "ServerConfig", "main"]


@dataclasses.dataclass(frozen=True)
class ServerConfig:
    """The server.

    Args:
        address: name of this host and port under which trainers reach the server, as in
            --data_service, but without grpc://. It also listens on the next port.
    """

    address: str = "localhost:5050"

    def __post_init__(self) -> None:
        try:
            port = split_address(self.address)[1]
        except ValueError:
            port = 0
        if not 0 < port < 2**16 - 1:
            raise InputError(
                f"address={excerpt(self.address)} must be this host's name and a port from 1 to "
                "65534, such as host0:5050."
            )


SECTIONS = (Section("The server", ServerConfig),)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the data_service command; returns its exit status.

    Args:
        argv: the words after the command; None for those that the process was started with.
    """
    summary = "Makes training batches for train --data_service, until it is stopped."
    return command.run(_serve, summary, SECTIONS, argv)


def _serve(given: Given) -> None:
    config = given.config(ServerConfig)
    command.load_backend()
    from mentormix_tf.data import service

    service.serve(config.address)


if __name__ == "__main__":
    sys.exit(main())

"""Where the runs of a study are trained: what `runner.train` asks of an executor."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from etils import epath

from mentormix_tf.config import RunConfig

__all__ = ["Executor"]


class Executor(Protocol):
    """Trains runs, several at once, each in a process of its own (`run_process.py`)."""

    def session(self, folder: epath.Path) -> AbstractContextManager[None]:
        """A context in which runs can be started.

        When it is left, runs under way save a checkpoint and end.

        Args:
            folder: the study's folder, which exists.

        Raises:
            InputError: runs can't be trained there.
        """
        ...

    def room(self) -> int:
        """How many more runs may be started now."""
        ...

    def start(self, name: str, config: RunConfig, path: epath.Path) -> None:
        """Starts a run, or has it wait for its turn.

        Args:
            name: its name in the study.
            config: the run.
            path: its folder.
        """
        ...

    def ended(self) -> Iterator[tuple[str, str]]:
        """The runs that have ended since the last call.

        Yields:
            The name of each, and why it failed; "" if it did not.
        """
        ...

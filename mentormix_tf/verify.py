"""python -m mentormix_tf.verify: reads every record of a prepared split and reports damage."""

import sys
from collections.abc import Sequence

from mentormix_tf import command, console
from mentormix_tf.command import Given, Section
from mentormix_tf.config import DataConfig

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the verify command; returns its exit status, 1 if the split is damaged.

    Args:
        argv: the words after the command; None for those that the process was started with.
    """
    summary = "Reads every record of a prepared split and reports damage."
    return command.run(_verify, summary, (Section("The noisy split", DataConfig),), argv)


def _verify(given: Given) -> int:
    command.load_backend()
    from mentormix_tf.data import verify

    found = verify.verify(given.config(DataConfig))
    print(console.printable(found.text(), "\n"))
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())

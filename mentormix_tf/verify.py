"""python -m mentormix_tf.verify: reads every record of a prepared split and says what is wrong."""

import sys
from collections.abc import Sequence

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.config import DataConfig


def main(argv: Sequence[str] | None = None) -> int:
    """Verifies the split that a command line names; returns 1 if anything is wrong with it."""
    summary = "Reads every record of a prepared split and says what is wrong with it."
    return command.run(_verify, summary, (Section("The noisy split", DataConfig),), argv)


def _verify(given: Given) -> int:
    from mentormix_tf.data import verify

    found = verify.verify(given.config(DataConfig))
    print(found.text())
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())

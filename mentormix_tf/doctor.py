"""python -m mentormix_tf.doctor: the former name of `mentormix_tf.verify`."""

import sys
from collections.abc import Sequence

from mentormix_tf import command, verify

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `verify` after a note about its new name."""
    return command.renamed("doctor", "verify", verify.main, argv)


if __name__ == "__main__":
    sys.exit(main())

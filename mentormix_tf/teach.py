"""python -m mentormix_tf.teach: the former name of `mentormix_tf.train_mentor`."""

import sys
from collections.abc import Sequence

from mentormix_tf import command, train_mentor

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `train_mentor` after a note about its new name."""
    return command.renamed("teach", "train_mentor", train_mentor.main, argv)


if __name__ == "__main__":
    sys.exit(main())

"""Runs commands on bad input within limits, and says what is wrong with how they end."""

import re

from tests.support import commands

SECONDS, GIGABYTES = 120, 2.0


def faults(*asked, cwd, seconds=SECONDS, gigabytes=GIGABYTES):
    """Runs commands, and describes those that end badly.

    A command ends well with status 0, or with status 1 or 2 and, as the last line of stderr, one
    sentence (or, of verify, a report on stdout); without a traceback, within its time and memory.

    Args:
        asked: lists of a command's name and its arguments.
        cwd, seconds, gigabytes: see `commands.run`.

    Returns:
        A text for each command that ended badly: the command, its status and the end of stderr.
    """
    ended = commands.run(*asked, cwd=cwd, seconds=seconds, gigabytes=gigabytes)
    return [
        f"{' '.join(word[:200] for word in words)} ended with {status}: {error[-1500:]}"
        for words, (status, output, error) in zip(asked, ended, strict=True)
        if not _ends_well(status, output, error)
    ]


def _ends_well(status, output, error):
    if "Traceback" in error:
        return False
    if status == 1 and output and not error:  # the problems that `verify` has found
        return True
    if status == 0:
        return True
    last = error.strip().rpartition("\n")[2]
    return status in (1, 2) and re.fullmatch(r"(error: )?.{10,2000}\.", last) is not None

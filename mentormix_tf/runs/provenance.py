"""The versions of the code that computed a result."""

import pathlib
import platform
import subprocess

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf import version

__all__ = ["git_revision", "versions"]


def versions() -> dict[str, str]:
    """The versions of this package and of the packages that its numbers depend on, by name."""
    return {
        "mentormix_tf": version.__version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


def git_revision() -> str | None:
    """The checkout's Git revision, with "-dirty" if files were changed; None outside a checkout."""
    this = pathlib.Path(__file__)
    git = ["git", "-C", str(this.parent)]
    try:
        # An installed package may lie inside another project's checkout, as in its .venv.
        tracked = [*git, "ls-files", "--error-unmatch", this.name]
        subprocess.run(tracked, check=True, capture_output=True)
        describe = [*git, "describe", "--always", "--dirty", "--abbrev=40"]
        return subprocess.run(describe, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None

"""Which code a result was computed by."""

import pathlib
import platform
import subprocess

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf import version


def versions() -> dict[str, str]:
    """The versions of this package and of those that its numbers depend on, by name."""
    return {
        "mentormix_tf": version.__version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


def git_revision() -> str | None:
    """The checkout's revision, with "-dirty" if files were changed; None outside a checkout."""
    this = pathlib.Path(__file__)
    git = ["git", "-C", str(this.parent)]
    try:
        # An installed package may lie inside somebody else's checkout (a .venv, say).
        tracked = [*git, "ls-files", "--error-unmatch", this.name]
        subprocess.run(tracked, check=True, capture_output=True)
        describe = [*git, "describe", "--always", "--dirty", "--abbrev=40"]
        return subprocess.run(describe, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None

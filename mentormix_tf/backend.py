"""Selects and checks the backend: Keras on TensorFlow, the only one that this package supports.

On x86 processors, TensorFlow computes with its own kernels or with those of oneDNN, which it uses
by itself only on some. Training takes less time with them on all processors that have AVX2
instructions (docs/performance.md), and gives slightly different numbers.
"""

import contextlib
import importlib
import importlib.util
import io
import os
import pathlib
import platform
import sys
import tempfile
from collections.abc import Iterator

from mentormix_tf import standard_error
from mentormix_tf.errors import BackendError

__all__ = ["check", "choose", "is_loaded", "keep_kernels", "load", "uses_onednn"]

_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
_PROCESSORS = pathlib.Path("/proc/cpuinfo")
# What TensorFlow prints while it is imported, whatever the log level, that tells a user nothing.
_BANNER = (b"oneDNN custom operations are on", b"All log messages before absl::InitializeLog()")


def choose() -> None:
    """Selects TensorFlow as Keras's backend, overriding the user's settings; imports neither.

    Also selects its kernels, unless the user has.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "tensorflow" not in sys.modules and _has_avx2():
        os.environ.setdefault(_ONEDNN, "1")
    if os.path.expanduser("~") == "~":  # no home, so TensorFlow would make a folder of that name
        os.environ.setdefault("KERAS_HOME", os.path.join(tempfile.gettempdir(), ".keras"))


def uses_onednn() -> bool | None:
    """Whether TensorFlow computes with oneDNN's kernels; None if it decides by itself."""
    value = os.environ.get(_ONEDNN, "").strip().lower()
    return {"0": False, "false": False, "1": True, "true": True}.get(value)


def keep_kernels(onednn: bool | None) -> None:
    """Selects the kernels that a run began with, unless TensorFlow has been imported.

    Args:
        onednn: what `uses_onednn` returned when the run began; None if that is not known.
    """
    if onednn is not None and "tensorflow" not in sys.modules:
        os.environ[_ONEDNN] = str(int(onednn))


def _has_avx2() -> bool:
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    try:
        return " avx2 " in _PROCESSORS.read_text()
    except OSError:  # not on Linux
        return False


def load() -> None:
    """Imports TensorFlow, without the lines that it prints of itself."""
    if "tensorflow" not in sys.modules:
        with _without_banner():
            importlib.import_module("tensorflow")


@contextlib.contextmanager
def _without_banner() -> Iterator[None]:
    """Holds back what the process, and its libraries in C++, print to stderr; drops the banner."""
    printed = io.BytesIO()
    try:
        with standard_error.kept_in(printed):
            yield
    finally:
        for line in printed.getvalue().splitlines(keepends=True):
            if not any(words in line for words in _BANNER):
                os.write(2, line)


def is_loaded() -> bool:
    """Whether Keras has been imported, on TensorFlow."""
    keras = sys.modules.get("keras")
    return keras is not None and keras.backend.backend() == "tensorflow"


def check() -> None:
    """Checks that TensorFlow is installed and that Keras runs on it.

    Raises:
        BackendError: TensorFlow is not installed, or Keras was already imported with another
            backend.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise BackendError(
            "mentormix_tf needs TensorFlow: pip install 'mentormix-tf[cpu]', or [gpu], or [tpu]."
        )
    if "keras" in sys.modules:
        backend = sys.modules["keras"].backend.backend()
        if backend != "tensorflow":
            raise BackendError(
                f"mentormix_tf needs Keras on TensorFlow, but Keras was already imported on "
                f"{backend}: set KERAS_BACKEND=tensorflow or import mentormix_tf first."
            )

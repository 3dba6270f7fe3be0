"""Selects and checks the backend: Keras on TensorFlow, the only one that this package supports."""

import importlib.util
import os
import sys
import tempfile

from mentormix_tf.errors import BackendError

__all__ = ["check", "choose", "is_loaded"]


def choose() -> None:
    """Selects TensorFlow as Keras's backend, overriding the user's settings; imports neither."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if os.path.expanduser("~") == "~":  # no home, so TensorFlow would make a folder of that name
        os.environ.setdefault("KERAS_HOME", os.path.join(tempfile.gettempdir(), ".keras"))


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

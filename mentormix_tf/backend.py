"""Keras on TensorFlow, which is all that this package works on."""

import importlib.util
import os
import sys

from mentormix_tf.errors import BackendError


def choose() -> None:
    """Has Keras run on TensorFlow, whatever the user's settings say; imports neither."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def is_loaded() -> bool:
    """Whether Keras has been imported, on TensorFlow."""
    keras = sys.modules.get("keras")
    return keras is not None and keras.backend.backend() == "tensorflow"


def check() -> None:
    """Makes sure that TensorFlow can be imported and Keras runs on it.

    Raises:
        BackendError: it can't, or Keras was imported on another backend before.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise BackendError(
            "mentormix_tf needs TensorFlow: pip install 'mentormix-tf[cpu]', or [gpu], or [tpu]."
        )
    if "keras" in sys.modules:
        backend = sys.modules["keras"].backend.backend()
        if backend != "tensorflow":
            raise BackendError(
                f"mentormix_tf needs Keras on TensorFlow, but Keras was imported on {backend} "
                "already: set KERAS_BACKEND=tensorflow or import mentormix_tf first."
            )

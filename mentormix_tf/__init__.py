"""MentorMix for Keras and TensorFlow 2: training on noisy labels.

`mentormix_tf.MentorMix` wraps a Keras network; `python -m mentormix_tf.train` trains one.
"""

import importlib.util
import os
import sys


def _prepare_keras():
    """Makes sure that Keras runs on TensorFlow, before its first import decides otherwise."""
    problem = None
    if importlib.util.find_spec("tensorflow") is None:
        problem = (
            "mentormix_tf needs TensorFlow: pip install 'mentormix-tf[cpu]', or [gpu], or [tpu]."
        )
    elif "keras" in sys.modules and sys.modules["keras"].backend.backend() != "tensorflow":
        problem = (
            f"mentormix_tf needs Keras on TensorFlow, but Keras was imported on "
            f"{sys.modules['keras'].backend.backend()} already: set KERAS_BACKEND=tensorflow or "
            "import mentormix_tf first."
        )
    if problem and sys.argv[0] == "-m":  # one of the commands is starting: no traceback
        sys.exit(problem)
    if problem:
        raise ImportError(problem)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


_prepare_keras()

from mentormix_tf.errors import InputError  # noqa: E402
from mentormix_tf.methods import MentorMix, Vanilla  # noqa: E402
from mentormix_tf.version import __version__  # noqa: E402

__all__ = ["InputError", "MentorMix", "Vanilla", "__version__"]

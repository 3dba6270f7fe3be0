"""MentorMix for Keras and TensorFlow 2: training on noisy labels.

`mentormix_tf.MentorMix` wraps a Keras network; `python -m mentormix_tf.train` trains one. What is
named here is imported when it is first used, since TensorFlow takes seconds to import.
"""

import importlib
from typing import TYPE_CHECKING, Any

from mentormix_tf import backend
from mentormix_tf.errors import InputError
from mentormix_tf.version import __version__

if TYPE_CHECKING:
    from mentormix_tf.methods import MentorMix, Vanilla

__all__ = ["InputError", "MentorMix", "Vanilla", "__version__"]

_PLACES = {"MentorMix": "methods", "Vanilla": "methods"}  # where to import a name from

backend.choose()


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

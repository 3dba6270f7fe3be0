"""MentorMix for Keras and TensorFlow 2: training on noisy labels.

    import mentormix_tf as mm

    model = mm.MentorMix(network, num_classes=10)           # wraps any Keras network
    split = mm.load_split("cifar10", noise_level=0.4)       # a data set with noisy labels
    run = mm.open_run("runs/mine")                          # the output of the train command
    report = mm.audit(model, images, labels)                # which labels are wrong

The names below are imported on first use, because TensorFlow takes seconds to import.
"""

import importlib
from typing import TYPE_CHECKING, Any

from mentormix_tf import backend
from mentormix_tf.errors import InputError
from mentormix_tf.version import __version__

if TYPE_CHECKING:
    from mentormix_tf import methods, metrics, mixing, networks
    from mentormix_tf.auditing.subjects import audit
    from mentormix_tf.data import noise
    from mentormix_tf.data.splits import load_split
    from mentormix_tf.methods import MentorMix, Vanilla, load_model
    from mentormix_tf.serving.run import open_run

_MODULES = {
    "methods": "methods",
    "metrics": "metrics",
    "mixing": "mixing",
    "networks": "networks",
    "noise": "data.noise",
}
_NAMES = {  # name -> module that defines it
    "MentorMix": "methods",
    "Vanilla": "methods",
    "audit": "auditing.subjects",
    "load_model": "methods",
    "load_split": "data.splits",
    "open_run": "serving.run",
}

__all__ = [
    "InputError",
    "MentorMix",
    "Vanilla",
    "__version__",
    "audit",
    "load_model",
    "load_split",
    "methods",
    "metrics",
    "mixing",
    "networks",
    "noise",
    "open_run",
]

backend.choose()
if backend.is_loaded():  # so that Keras knows the methods when it loads a saved model
    importlib.import_module("mentormix_tf.methods").import_all()


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{_MODULES[name]}")
    if name in _NAMES:
        backend.check()
        backend.load()
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

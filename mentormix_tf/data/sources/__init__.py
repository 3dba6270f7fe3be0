"""Sources: data sets with the labels they came with, by name."""

from mentormix_tf.data.sources import digits
from mentormix_tf.errors import InputError

SOURCES = {"digits": digits.load}


def load(name):
    """Loads a data set.

    Args:
        name: one of `SOURCES`.

    Returns:
        The splits `train` and `test`, each `(images, labels)`: `[n, height, width, channels]`
        uint8 and `[n]` int64; and the list of class names.

    Raises:
        InputError: the name is not known.
    """
    if name not in SOURCES:
        raise InputError(f"dataset={name} is unknown: choose one of {', '.join(SOURCES)}.")
    return SOURCES[name]()

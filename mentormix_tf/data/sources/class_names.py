"""Names of classes that can be stored, one in a line, and told apart."""

import unicodedata
from collections.abc import Sequence

from mentormix_tf.errors import InputError

__all__ = ["stored"]

# Unicode's control characters, line and paragraph separators, and halves of characters.
_REFUSED = ("Cc", "Zl", "Zp", "Cs")


def stored(names: Sequence[str]) -> list[str]:
    """Returns class names as they are stored: without blanks around them, in Unicode's form NFC.

    Args:
        names: the names as the data set has them.

    Raises:
        InputError: a name is empty, has a line break or another control character, or two are
            stored alike.
    """
    kept: dict[str, str] = {}
    for name in names:
        if any(unicodedata.category(character) in _REFUSED for character in name):
            raise InputError(
                f"The class {name!a} has a line break or another control character in its name: "
                "rename it."
            )
        clean = unicodedata.normalize("NFC", name).strip()
        if not clean:
            raise InputError(f"A class is called {name!r}: give it a name.")
        if clean in kept:
            raise InputError(
                f"The classes {kept[clean]!a} and {name!a} are both stored as {clean!r}: rename "
                "one, or merge them."
            )
        kept[clean] = name
    return list(kept)

"""Text from elsewhere, such as the names of files and classes, in Markdown."""

import html
import re

__all__ = ["escaped"]


def escaped(text: object) -> str:
    """Escapes what Markdown and HTML would read as markup, and joins lines.

    Args:
        text: any value, of which `str` makes the text.
    """
    joined = " ".join(html.escape(str(text), quote=False).split())
    return re.sub(r"([\\`*\[\]|])", r"\\\1", joined)

"""A page of one file, with all that it needs inside.

Names of classes, files and methods come from elsewhere. A page holds them as JSON, shows them as
text, and its content security policy runs no other script than its own.
"""

import base64
import hashlib
import html
import json
import pathlib
import string
from typing import Any

__all__ = ["fill"]

_HERE = pathlib.Path(__file__).parent


def fill(name: str, data: Any, title: str, subtitle: str, **texts: str) -> str:
    """Fills in a page's template, with the style of all pages and the page's own style and script.

    Args:
        name: that of the template of the body, NAME.html, with its NAME.css and NAME.js.
        data: what the script reads, as JSON.
        title: the page's title, as text.
        subtitle: the line below it, as text.
        **texts: other parts of the body, as HTML.

    Returns:
        The page as HTML.
    """
    title, subtitle = html.escape(title), html.escape(subtitle)
    body = string.Template(_read(f"{name}.html"))
    style, script = _read("page.css") + _read(f"{name}.css"), _read(f"{name}.js")
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src 'sha256-{_sha256(style)}'; script-src 'sha256-{_sha256(script)}'"
    )
    return string.Template(_read("page.html")).substitute(
        csp=policy,
        title=title,
        style=style,
        body=body.substitute(title=title, subtitle=subtitle, **texts),
        data=_json(data),
        script=script,
    )


def _read(name):
    return (_HERE / name).read_text("utf-8")


def _json(value):
    """JSON that can stand in a script element: it can't end it, or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _sha256(text):
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

"""Converts settings to text and back.

The command line, flagfiles, a run's flags.txt and studies all use this module, so a value means the
same everywhere: `parse(kind, serialize(value), name) == value`.
"""

import csv
import dataclasses
import inspect
import io
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

import docstring_parser

from mentormix_tf.errors import InputError

__all__ = [
    "BOOLEANS",
    "EXPECTED",
    "RENAMED",
    "Field",
    "argument_helps",
    "build",
    "fields",
    "from_yaml",
    "is_optional",
    "parse",
    "serialize",
    "without_none",
]

EXPECTED = {bool: "true or false", int: "an integer", float: "a number", str: "text"}
BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}  # absl's
# Former name of a flag -> its name. Flagfiles, flags.txt and saved models may have the former.
RENAMED = {"average_decay": "ema_decay", "incv_steps": "round_steps"}


@dataclasses.dataclass(frozen=True)
class Field:
    """One setting: a field of a config, or a hyperparameter of a method.

    Attributes:
        name: its name, which is also that of its flag.
        kind: bool, int, float, str, a `Literal` of strings, or a `tuple` of one of these; a number
            or a word, `float | Literal[...]`; or `X | None` if it can be unset.
        default: its default value.
        help: its help text, on one line.
    """

    name: str
    kind: Any
    default: Any = None
    help: str = ""


def fields(config_class: type) -> list[Field]:
    """Returns the fields of a dataclass, with help texts from the `Args` section of its docstring.

    Args:
        config_class: dataclass whose fields all have a default and a help text.
    """
    kinds, helps = typing.get_type_hints(config_class), argument_helps(config_class.__doc__ or "")
    return [
        Field(field.name, kinds[field.name], field.default, helps[field.name])
        for field in dataclasses.fields(config_class)
    ]


def argument_helps(docstring: str) -> dict[str, str]:
    """Returns the texts of a docstring's `Args` section by argument, each on one line."""
    google = docstring_parser.DocstringStyle.GOOGLE
    parsed = docstring_parser.parse(inspect.cleandoc(docstring), google)
    return {p.arg_name: " ".join((p.description or "").split()) for p in parsed.params}


def parse(kind: Any, text: str, name: str) -> Any:
    """Parses the text of a value.

    Args:
        kind: see `Field`.
        text: the value as `serialize` writes it; a boolean may also be t, f, 1 or 0.
        name: name of the setting, for the error message.

    Returns:
        A value of the given kind.

    Raises:
        InputError: the text does not represent a value of this kind.
    """
    kind = without_none(kind)
    if _is_union(kind):
        number, word = typing.get_args(kind)
        return _parse_either(number, word, text, name)
    if typing.get_origin(kind) is tuple:
        return tuple(parse(typing.get_args(kind)[0], part, name) for part in _parts(text, name))
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        if text.strip().lower() not in choices:
            raise InputError(f"{name}={text} must be one of {', '.join(choices)}.")
        return text.strip().lower()
    if kind is str:
        return text
    try:
        if kind is bool:
            return BOOLEANS[text.strip().lower()]
        return kind(text)
    except (ValueError, KeyError):
        raise InputError(f"{name}={text} must be {EXPECTED[kind]}.") from None


def serialize(value: Any) -> str:
    """Returns the text of a value other than None, in the format that `parse` reads."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        row = io.StringIO()
        csv.writer(row, lineterminator="").writerow([serialize(part) for part in value])
        return row.getvalue()
    return str(value)


def from_yaml(kind: Any, value: Any, name: str) -> Any:
    """Converts a value from YAML or JSON, where a number such as 1e-4 may have been read as text.

    Args:
        kind: see `Field`.
        value: the value that YAML read; may be None if the setting can be unset.
        name: name of the setting, for the error message.

    Returns:
        A value of the given kind, or None.

    Raises:
        InputError: the value is not of this kind.
    """
    if value is None and is_optional(kind):
        return None
    plain = without_none(kind)
    is_list = typing.get_origin(plain) is tuple
    fits = isinstance(value, list if is_list else str if plain is str else (int, float, str))
    if fits:
        return parse(plain, serialize(value), name)
    expected = "a list" if is_list else EXPECTED.get(plain, "text")
    raise InputError(f"{name}={value} must be {expected}.")


def build(config_class: type, texts: Mapping[str, str]) -> Any:
    """Makes a config from the texts of its fields; fields without a text get their defaults.

    Args:
        config_class: dataclass whose fields all have a default.
        texts: texts by name; names that are not fields are ignored.

    Raises:
        InputError: a text does not represent a value of its field.
    """
    given = {f.name: f for f in fields(config_class) if f.name in texts}
    return config_class(**{name: parse(f.kind, texts[name], name) for name, f in given.items()})


def is_optional(kind: Any) -> bool:
    """Whether a setting may be None."""
    return _is_union(kind) and type(None) in typing.get_args(kind)


def without_none(kind: Any) -> Any:
    """Returns X for `X | None`, and any other kind unchanged."""
    return typing.get_args(kind)[0] if is_optional(kind) else kind


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _parse_either(number: Any, word: Any, text: str, name: str) -> Any:
    """Parses the text of a value that is a number or one of some words."""
    for kind in (word, number):
        try:
            return parse(kind, text, name)
        except InputError:
            pass
    words = ", ".join(typing.get_args(word))
    raise InputError(f"{name}={text} must be {EXPECTED[number]} or {words}.")


def _parts(text: str, name: str) -> list[str]:
    """The parts of a list, which are separated by commas; a part with a comma is quoted."""
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise InputError(f"{name}={text} must be a list such as a,b: {error}.") from None
    return [part.strip() for part in rows[0]] if rows else []

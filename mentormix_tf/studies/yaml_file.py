"""Reads a YAML file that a user wrote: data only, of a bounded size."""

import itertools
import os
import re
from typing import Any, ClassVar

import yaml
from etils import epath

from mentormix_tf import files
from mentormix_tf.errors import InputError

__all__ = ["LARGEST", "read"]

LARGEST = 100_000  # bytes; studies have a few thousand
_DEEPEST = 20  # lists and mappings in one another


def read(path: epath.PathLike) -> Any:
    """Reads a file's only document: mappings, lists, texts, numbers, true, false and null.

    What YAML 1.1 makes of other words (a date of 2026-01-02, a boolean of no, 8 of 010) stays text.
    Anchors, aliases and tags are refused: nested aliases can stand for gigabytes.

    Args:
        path: the file.

    Raises:
        InputError: the file can't be read, is not UTF-8 text, or has more than that.
    """
    try:
        size = os.path.getsize(path)
        if size > LARGEST:
            raise InputError(f"{path} has {size} bytes: a study may have {LARGEST}.")
        text = files.contents(path).decode("utf-8-sig")
        _check(path, text)
        return yaml.load(text, _Loader)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} can't be read: it is not UTF-8 text.") from error
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror or error}.") from error
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"{path} is not valid YAML: {reason}.") from error


def _check(path, text):
    """Refuses what must not be expanded, from the stream of events, which expands nothing."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        line = f"line {event.start_mark.line + 1} of {path}"
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise InputError(f"{line} has more than {_DEEPEST} lists in one another.")
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if anchor:
            raise InputError(f"{line} has &{anchor} or *{anchor}: repeat the value.")
        if tag:
            raise InputError(f"{line} has the tag {tag}: leave it out.")


class _Loader(yaml.SafeLoader):
    """Refuses duplicate keys, of which YAML would keep the last, and knows fewer words."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[Any]]] = {}

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key, (scalar, _) in zip(keys, node.value, strict=True):
            if not isinstance(scalar, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key} is not a word", scalar.start_mark
                )
        for key, same in itertools.groupby(sorted(keys, key=repr)):
            if len(list(same)) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key} is given twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("null", r"~|null|", ["~", "n", ""]),
    ("bool", r"true|false|True|False", list("tfTF")),
    ("int", r"[-+]?(0|[1-9][0-9]{0,18})", list("-+0123456789")),
    ("float", r"[-+]?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?", list("-+0123456789")),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), _first
    )

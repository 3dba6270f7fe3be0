"""Runs a command: makes flags from configs and methods, prints grouped help, reports errors.

A flag takes its name, type and default from a dataclass field or a constructor argument, and its
help from the docstring, so that each is written once. Flags are made when a command starts, so any
number of commands can be imported and called in one process.
"""

import dataclasses
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import absl.flags
import absl.logging

from mentormix_tf import backend, console, methods, networks
from mentormix_tf.config import codec
from mentormix_tf.config.codec import Field
from mentormix_tf.config.flags import FlagSet
from mentormix_tf.data import sources
from mentormix_tf.errors import InputError

__all__ = [
    "ABSL",
    "HELP",
    "REGISTRIES",
    "Given",
    "Section",
    "load_backend",
    "merged",
    "renamed",
    "run",
]

HELP = r"--?(h|\?|help(short|full)?(=true)?)"
_HELP_FULL = r"--?helpfull(=true)?"
# Names in braces in help texts, and functions that return their replacements.
REGISTRIES = {
    "datasets": sources.names,
    "methods": methods.names,
    "networks": networks.names,
    "noises": sources.noise_names,
}
ABSL = ("verbosity", "logtostderr", "alsologtostderr", "log_dir", "stderrthreshold")


@dataclasses.dataclass(frozen=True)
class Section:
    """Flags that --help shows under one heading, one for each field of a dataclass.

    Attributes:
        title: the heading.
        config_class: dataclass whose docstring has an `Args` section; None for the hyperparameters
            of all methods, which are None by default.
        without: fields that get no flag.
        has_defaults: whether flags default to the fields' defaults rather than to None.
    """

    title: str
    config_class: type | None
    without: Sequence[str] = ()
    has_defaults: bool = True

    def fields(self) -> list[Field]:
        """A `Field` for each flag."""
        if self.config_class is None:
            return merged(methods.all_hyperparameters())
        found = [f for f in codec.fields(self.config_class) if f.name not in self.without]
        found = [dataclasses.replace(f, help=_filled_in(f.help)) for f in found]
        return found if self.has_defaults else [dataclasses.replace(f, default=None) for f in found]


@dataclasses.dataclass(frozen=True)
class Given:
    """A parsed command line.

    Attributes:
        words: its words, without the command.
        arguments: the words that are not flags.
        flags: the flags with their values.
    """

    words: Sequence[str]
    arguments: Sequence[str]
    flags: FlagSet

    def config(self, config_class: type, **given: Any) -> Any:
        """A dataclass whose fields have the values in `given`, or else of their flags."""
        return self.flags.config(config_class, **given)

    def fields_given(self, config_class: type) -> dict[str, Any]:
        """The fields of a dataclass that the command line sets, with their values."""
        return self.flags.given(field.name for field in dataclasses.fields(config_class))

    def hyperparameters(self) -> dict[str, Any]:
        """The hyperparameters that the command line sets, with their values."""
        return self.flags.hyperparameters()


def run(
    action: Callable[[Given], int | None],
    summary: str,
    sections: Sequence[Section],
    argv: Sequence[str] | None = None,
    arguments: str = "",
    first: Sequence[str] = (),
) -> int:
    """Runs a command with the flags of a command line, or prints its help.

    Args:
        action: the command; it may return an exit status.
        summary: what the command does, for --help.
        sections: its flags.
        argv: the words after the command; None for those that the process was started with.
        arguments: the name of its positional arguments in --help, such as "IMAGE..."; "" if it
            takes none.
        first: the flags that --help shows, where only --helpfull shows all of them.

    Returns:
        The exit status, see `console.exit_status`.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    if any(re.fullmatch(HELP, word) for word in words):
        is_full = any(re.fullmatch(_HELP_FULL, word) for word in words)
        text = _help(summary, sections, arguments, () if is_full else first)
        return console.exit_status(lambda: print(text, flush=True))
    return console.exit_status(lambda: action(_parse(words, sections, arguments)))


def load_backend() -> None:
    """Imports TensorFlow, see `backend.load`, which takes seconds and which terminals show."""
    with console.waiting("Loading TensorFlow"):
        backend.load()


def renamed(
    old: str,
    new: str,
    main: Callable[[Sequence[str] | None], int],
    argv: Sequence[str] | None,
) -> int:
    """Runs a command that was called by its former name, after a note about its new name."""
    print(f"note: {old} is now called {new}: python -m mentormix_tf.{new}", file=sys.stderr)
    return main(argv)


def merged(hyperparameters: Mapping[str, Sequence[Field]]) -> list[Field]:
    """One `Field` for each name, whose help names the default of each method.

    A name may mean one thing in some methods and another in others, as alpha does.
    """
    found: dict[str, list[tuple[str, Field]]] = {}
    for method, fields in hyperparameters.items():
        for field in fields:
            found.setdefault(field.name, []).append((method, field))
    merged = []
    for pairs in found.values():
        by_help: dict[str, list[str]] = {}
        for method, field in pairs:
            by_help.setdefault(field.help, []).append(f"{method}: {field.default}")
        texts = [f"{text} ({', '.join(defaults)})" for text, defaults in by_help.items()]
        merged.append(dataclasses.replace(pairs[-1][1], default=None, help=" ".join(texts)))
    return merged


def _parse(words, sections, arguments):
    own = [field for each in sections if each.config_class is not None for field in each.fields()]
    has_methods = any(each.config_class is None for each in sections)
    flags = FlagSet(own, methods.all_hyperparameters() if has_methods else None)
    flags.adopt(absl.flags.FLAGS, ABSL)
    rest = flags.parse(words)
    for old, new in flags.former_names().items():
        print(f"note: --{old} is now called --{new}", file=sys.stderr)
    if rest and not arguments:
        raise InputError(f"{rest[0]} is not a flag: flags start with --, see --help.")
    if not flags.given(["verbosity"]):
        absl.logging.set_verbosity(absl.logging.ERROR)  # TFDS warns about intended uses
    backend.check()
    return Given(words, rest, flags)


def _filled_in(text):
    """A help text with the names in braces replaced."""
    return re.sub(r"\{(\w+)\}", lambda match: REGISTRIES[match[1]](), text)


def _help(
    summary: str, sections: Sequence[Section], arguments: str, first: Sequence[str] = ()
) -> str:
    usage = f"Usage: {arguments} and flags" if arguments else "Usage: flags"
    lines = [summary, "", f"{usage} as --name=value, or in a file: --flagfile=PATH."]
    indent = " " * 6
    if first:
        total = sum(len(section.fields()) for section in sections)
        lines.append(f"These {len(first)} flags matter first; --helpfull shows all {total}.")
    for section in sections:
        shown = [each for each in section.fields() if not first or each.name in first]
        lines += ["", section.title] if shown else []
        for field in shown:
            has_default = field.default not in (None, (), "")
            default = f"={codec.serialize(field.default)}" if has_default else ""
            lines.append(f"  --{field.name}{default}")
            lines += textwrap.wrap(field.help, 88, initial_indent=indent, subsequent_indent=indent)
    return "\n".join(lines)

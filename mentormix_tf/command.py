"""What every command shares: flags made from configs and methods, grouped help, short errors.

A flag's name, type and default are those of a dataclass field or a constructor argument, its help
is that argument's text in the docstring: each stands once.
"""

import dataclasses
import inspect
import os
import re
import signal
import sys
import textwrap
import types
import typing

import docstring_parser
from absl import app, flags, logging

from mentormix_tf import methods, shipped
from mentormix_tf.errors import InputError, Preempted

FLAGS = flags.FLAGS

_groups = {}  # title -> names of its flags, as --help shows them


def define_config(title, config_class, without=(), has_defaults=True):
    """Defines a flag for each field of a dataclass.

    Args:
        title: heading of the flags in --help.
        config_class: dataclass whose docstring has an `Args` section.
        without: fields that get no flag.
        has_defaults: whether a flag that is left out has the field's default; else it is None, for
            `read_given`.
    """
    helps = _argument_helps(config_class)
    kinds = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        if field.name in without:
            continue
        default = field.default if has_defaults else None
        _define(title, field.name, kinds[field.name], default, helps[field.name])


def read_config(config_class, **given):
    """A dataclass filled from the flags that `define_config` made of it, and from `given`."""
    names = [field.name for field in dataclasses.fields(config_class) if field.name not in given]
    return config_class(**{name: FLAGS[name].value for name in names}, **given)


def read_given(config_class):
    """Those fields of a dataclass that the command line sets: a dict from name to value."""
    names = [field.name for field in dataclasses.fields(config_class)]
    return {name: FLAGS[name].value for name in names if FLAGS[name].present}


def define_hyperparameters(title):
    """Defines a flag for each hyperparameter of each method; unset, it is the method's default."""
    defaults, kinds, helps = {}, {}, {}
    for name, method in methods.METHODS.items():
        for parameter in methods.hyperparameters(method).values():
            defaults.setdefault(parameter.name, []).append(f"{name}: {parameter.default}")
            kinds[parameter.name] = parameter.annotation
            helps[parameter.name] = _argument_helps(method)[parameter.name]
    for name, text in helps.items():
        _define(title, name, kinds[name], None, f"{text} ({', '.join(defaults[name])})")


def read_hyperparameters():
    """Those hyperparameters that the command line sets: a dict from name to value."""
    names = _hyperparameter_names()
    return {name: FLAGS[name].value for name in names if FLAGS[name].value is not None}


def run(main, summary, arguments=""):
    """Parses the flags, runs a command and ends the process.

    Exit status 0 if all went well; 1 for a flag that absl refuses, and for an InputError, whose
    sentence is printed without a traceback; 143, as of any process that SIGTERM has ended, for a
    run that has saved its state and can be started again.

    Args:
        main: function of no arguments, or of the list of those that are no flags.
        summary: what the command does, for --help.
        arguments: what those are called in --help, such as "IMAGE..."; "" where there are none.
    """
    FLAGS.set_gnu_getopt(bool(arguments))  # flags may come after them

    def parse(argv):
        if any(re.fullmatch(r"--?(h|\?|help(short|full)?(=true)?)", flag) for flag in argv[1:]):
            print(_help(summary, arguments))
            sys.exit(0)
        try:
            argv = [argv[0], *_with_flagfiles(argv[1:])]
        except InputError as error:
            sys.exit(f"error: {error}")
        return app.parse_flags_with_usage(argv)

    def guarded(argv):
        if not FLAGS["verbosity"].present:
            logging.set_verbosity(logging.ERROR)  # TFDS warns of much that is meant
        try:
            if arguments:
                main(argv[1:])
            elif argv[1:]:
                raise InputError(f"{argv[1]} is no flag: flags start with -- and are in --help.")
            else:
                main()
        except InputError as error:
            sys.exit(f"error: {error}")
        except Preempted as stop:
            print(stop, file=sys.stderr)
            sys.exit(128 + signal.SIGTERM)
        except BrokenPipeError:  # as when `| head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except KeyboardInterrupt:
            sys.exit(130)

    app.run(guarded, flags_parser=parse)


def _with_flagfiles(words, folder="", opened=()):
    """Puts in place of each --flagfile what is in it.

    absl would look for a flagfile that another one names in the current folder; here it lies
    beside the file that names it.

    Args:
        words: of the command line, or lines of a flagfile.
        folder: where relative paths begin.
        opened: the flagfiles that these lines are in.

    Raises:
        InputError: a flagfile can't be read, or is in itself.
    """
    words = iter(words)
    for word in words:
        name, _, value = word.partition("=")
        if name not in ("--flagfile", "-flagfile"):
            yield word
            continue
        value = value if "=" in word else next(words, "")
        path = shipped.find(value, folder)
        if path.resolve() in opened:
            raise InputError(f"flagfile={path} includes itself: take one of the inclusions out.")
        try:
            lines = [line.strip() for line in path.read_text().splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", "it is no text")
            raise InputError(f"flagfile={path} can't be read: {reason}.") from error
        flags_there = [line for line in lines if line and not line.startswith(("#", "//"))]
        yield from _with_flagfiles(flags_there, path.parent, (*opened, path.resolve()))


class _MethodFlag(flags.Flag):
    """--method: another one than before drops the hyperparameters before it.

    So a flagfile may hold an experiment with its method's settings, and any other method be given
    after it.
    """

    def parse(self, argument):
        if self.present and argument != self.value:
            for name in _hyperparameter_names():
                FLAGS[name].unparse()
        super().parse(argument)


def _hyperparameter_names():
    """The hyperparameters of all methods, by name and in order."""
    every = methods.METHODS.values()
    return sorted({name for method in every for name in methods.hyperparameters(method)})


def _define(title, name, kind, default, text):
    _groups.setdefault(title, []).append(name)
    if typing.get_origin(kind) is types.UnionType:  # "float | None": None where it is left out
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) is typing.Literal:
        flags.DEFINE_enum(name, default, typing.get_args(kind), text, case_sensitive=False)
    elif typing.get_origin(kind) is tuple:
        flags.DEFINE_list(name, default, text)
    elif name == "method":
        parser, serializer = flags.ArgumentParser(), flags.ArgumentSerializer()
        flags.DEFINE_flag(_MethodFlag(parser, serializer, name, default, text))
    else:
        define = {
            bool: flags.DEFINE_boolean,
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
            str: flags.DEFINE_string,
        }[kind]
        define(name, default, text)


def _argument_helps(documented):
    """Each argument's help from the `Args` section of a class's docstring, on one line."""
    parsed = docstring_parser.parse(
        inspect.getdoc(documented), docstring_parser.DocstringStyle.GOOGLE
    )
    return {p.arg_name: " ".join(p.description.split()) for p in parsed.params}


def _help(summary, arguments):
    given = f"Give {arguments}, and flags" if arguments else "Give flags"
    lines = [summary, "", f"{given} as --name=value, or in a file: --flagfile=PATH."]
    for title, names in _groups.items():
        lines += ["", title]
        for name in names:
            flag = FLAGS[name]
            lines.append(f"  --{name}" + ("" if flag.default in (None, []) else f"={flag.default}"))
            indent = " " * 6
            lines += textwrap.wrap(flag.help, 88, initial_indent=indent, subsequent_indent=indent)
    return "\n".join(lines)

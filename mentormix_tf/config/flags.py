"""Settings as absl flags, in a set of their own each time, not in absl's global one."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from absl import flags

from mentormix_tf.config import codec, flagfile
from mentormix_tf.config.codec import Field
from mentormix_tf.errors import InputError


class FlagSet:
    """The flags of a command, or of a run's flags.txt.

    Args:
        settings: a flag is made for each.
        hyperparameters: those of each method, by the method's name. Each becomes a flag that is
            unset by default; another --method than before drops those before it, so a flagfile may
            hold an experiment with its method's hyperparameters, and another method follow it.
    """

    def __init__(
        self,
        settings: Iterable[Field],
        hyperparameters: Mapping[str, Sequence[Field]] | None = None,
    ):
        self._values = flags.FlagValues()
        self._values.set_gnu_getopt(True)  # flags may follow other words
        every = [field for each in (hyperparameters or {}).values() for field in each]
        self._hyperparameters = {field.name: field for field in every}
        for field in self._hyperparameters.values():
            self._define(flags.Flag, field, None)
        for field in settings:
            is_method = field.name == "method" and hyperparameters is not None
            self._define(self._method_flag() if is_method else flags.Flag, field, field.default)
        self._former = {old: new for old, new in codec.RENAMED.items() if new in self._values}
        for old, new in self._former.items():
            flags.DEFINE_alias(old, new, self._values)

    def parse(self, words: Iterable[str], folder: Any = "") -> list[str]:
        """Sets the flags that the words give. Returns the words that are not flags.

        Args:
            words: as on a command line, without the command; flagfiles among them are read.
            folder: where the relative paths of those flagfiles begin.

        Raises:
            InputError: a flag that there is not, a value that it can't have, or a flagfile that
                can't be read.
        """
        try:
            return self._values(["", *flagfile.expand(words, folder)])[1:]
        except InputError:
            raise
        except flags.UnrecognizedFlagError as error:
            close = difflib.get_close_matches(error.flagname, list(self._values), n=1)
            meant = f", perhaps --{close[0]}" if close else ""
            raise InputError(f"--{error.flagname} is not a flag: see --help{meant}.") from None
        except (flags.Error, ValueError) as error:
            own = error.__cause__ or error.__context__  # what the codec said
            raise (own if isinstance(own, InputError) else InputError(f"{error}.")) from None

    def __getitem__(self, name: str) -> Any:
        """A flag's value."""
        return self._values[name].value

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def given(self, names: Iterable[str]) -> dict[str, Any]:
        """The values of those of some flags that were given."""
        return {name: self[name] for name in names if self._values[name].present}

    def config(self, config_class: type, **given: Any) -> Any:
        """A dataclass filled from the flags of its fields, and from `given`."""
        names = [field.name for field in codec.fields(config_class) if field.name not in given]
        return config_class(**{name: self[name] for name in names}, **given)

    def former_names(self) -> dict[str, str]:
        """The former names by which flags were given, with their names of today."""
        return {old: new for old, new in self._former.items() if self._values[old].present}

    def hyperparameters(self) -> dict[str, Any]:
        """The hyperparameters that were given, by name."""
        return self.given(self._hyperparameters)

    def adopt(self, other: flags.FlagValues, names: Iterable[str]) -> None:
        """Takes flags of another set in, such as absl's own."""
        for name in names:
            self._values[name] = other[name]

    def _define(self, flag_class, field, default):
        kind = codec.without_none(field.kind)
        parser, serializer = _Parser(field.name, kind), flags.ArgumentSerializer()
        flag = flag_class(parser, serializer, field.name, default, "", boolean=kind is bool)
        flags.DEFINE_flag(flag, self._values)

    def _method_flag(self):
        values, names = self._values, list(self._hyperparameters)

        class MethodFlag(flags.Flag):
            def parse(self, argument):
                if self.present and argument != self.value:
                    for name in names:
                        values[name].unparse()
                super().parse(argument)

        return MethodFlag


class _Parser(flags.ArgumentParser):
    """Lets the codec read what absl has found to be a flag's value."""

    def __init__(self, name, kind):
        self._name, self._kind = name, kind

    def parse(self, argument):
        is_text = isinstance(argument, str)  # a default is of the flag's kind already
        return codec.parse(self._kind, argument, self._name) if is_text else argument

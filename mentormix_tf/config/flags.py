"""Settings as absl flags, in separate flag sets instead of absl's global one."""

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from absl import flags

from mentormix_tf.config import codec, flagfile
from mentormix_tf.config.codec import Field
from mentormix_tf.errors import InputError

__all__ = ["FlagSet"]


class FlagSet:
    """The flags of a command, or of a run's flags.txt.

    Args:
        settings: settings, each of which becomes a flag.
        hyperparameters: hyperparameters of each method, by method name. Each becomes a flag that is
            unset by default. A second --method with another value unsets all hyperparameters given
            before it, so that --method can override a flagfile with its own method and
            hyperparameters.
    """

    def __init__(
        self,
        settings: Iterable[Field],
        hyperparameters: Mapping[str, Sequence[Field]] | None = None,
    ):
        self._values = flags.FlagValues()
        self._values.set_gnu_getopt(True)  # accept flags after positional arguments
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

    def parse(self, words: Iterable[str], folder: str | os.PathLike = "") -> list[str]:
        """Sets flags from the words of a command line.

        Args:
            words: the command line without the command; its flagfiles are read, too.
            folder: folder that the relative paths of flagfiles start from; "" for the current one.

        Returns:
            The words that are not flags.

        Raises:
            InputError: a flag is unknown, a value is invalid, or a flagfile can't be read.
        """
        try:
            return self._values(["", *flagfile.expand(words, folder)])[1:]
        except InputError:
            raise
        except flags.UnrecognizedFlagError as error:
            close = difflib.get_close_matches(error.flagname, list(self._values), n=1)
            hint = f"did you mean --{close[0]}?" if close else "see --help."
            raise InputError(f"--{error.flagname} is not a flag: {hint}") from None
        except (flags.Error, ValueError) as error:
            own = error.__cause__ or error.__context__  # the codec's own error
            raise (own if isinstance(own, InputError) else InputError(f"{error}.")) from None

    def __getitem__(self, name: str) -> Any:
        """Returns the value of a flag."""
        return self._values[name].value

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def given(self, names: Iterable[str]) -> dict[str, Any]:
        """Returns the values of the named flags, without those that were not given."""
        return {name: self[name] for name in names if self._values[name].present}

    def config(self, config_class: type, **given: Any) -> Any:
        """Makes a dataclass from the flags of its fields and from `given`, which has priority."""
        names = [field.name for field in codec.fields(config_class) if field.name not in given]
        return config_class(**{name: self[name] for name in names}, **given)

    def former_names(self) -> dict[str, str]:
        """The former names by which flags were given, with their names of today."""
        return {old: new for old, new in self._former.items() if self._values[old].present}

    def hyperparameters(self) -> dict[str, Any]:
        """Returns the hyperparameters that were given, by name."""
        return self.given(self._hyperparameters)

    def adopt(self, other: flags.FlagValues, names: Iterable[str]) -> None:
        """Adds flags of another set, such as absl's own."""
        for name in names:
            self._values[name] = other[name]

    def _define(self, flag_class: type[flags.Flag], field: Field, default: Any) -> None:
        kind = codec.without_none(field.kind)
        parser, serializer = _Parser(field.name, kind), flags.ArgumentSerializer()
        flag = flag_class(parser, serializer, field.name, default, "", boolean=kind is bool)
        flags.DEFINE_flag(flag, self._values)

    def _method_flag(self) -> type[flags.Flag]:
        values, names = self._values, list(self._hyperparameters)

        class MethodFlag(flags.Flag):
            def parse(self, argument):
                if self.present and argument != self.value:
                    for name in names:
                        values[name].unparse()
                super().parse(argument)

        return MethodFlag


class _Parser(flags.ArgumentParser):
    """Parses the values of a flag with the codec."""

    def __init__(self, name: str, kind: Any):
        self._name, self._kind = name, kind

    def parse(self, argument: Any) -> Any:
        is_text = isinstance(argument, str)  # a default already has the flag's kind
        return codec.parse(self._kind, argument, self._name) if is_text else argument

"""A method's hyperparameters by noise level."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from mentormix_tf.config import codec
from mentormix_tf.errors import InputError

__all__ = ["Settings"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """A method's hyperparameters, given at some noise levels; other levels use the nearest.

    Attributes:
        by_level: hyperparameters by noise level in [0, 1], or by None if they are for all levels.
    """

    by_level: Mapping[float | None, Mapping[str, Any]]

    @classmethod
    def parse(
        cls, given: Any, check: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> "Settings":
        """Settings from a mapping, or from a list of mappings that each have a `level`.

        Args:
            given: a value from YAML or JSON.
            check: converts hyperparameters to their types, or raises an `InputError`.

        Raises:
            InputError: `given` is neither, or `check` refuses it.
        """
        if isinstance(given, Mapping) and "level" not in given:
            return cls({None: check(given)})
        by_level = {}
        for each in given if isinstance(given, list) and given else [given]:
            level = each.get("level") if isinstance(each, Mapping) else None
            if level is None or not isinstance(each, Mapping):
                raise InputError(f"{each} must be a mapping of settings with a level.")
            level = codec.from_yaml(float, level, "level")
            if level in by_level or not 0 <= level <= 1:
                raise InputError(f"level={level} must lie in [0, 1], and be given once.")
            by_level[level] = check({k: v for k, v in each.items() if k != "level"})
        return cls(by_level)

    def at(self, level: float | None) -> dict[str, Any]:
        """The hyperparameters at a noise level; if two levels are equally near, the lower's.

        Args:
            level: in [0, 1]; None if unknown.

        Raises:
            InputError: the settings depend on the level, and it is unknown.
        """
        if None in self.by_level:
            return dict(self.by_level[None])
        if level is None:
            raise InputError(
                "settings depend on level, but the data's level is unknown: give data a level."
            )
        levels = sorted(each for each in self.by_level if each is not None)
        # Rounded, so that 0.3 is as near to 0.2 as to 0.4.
        nearest = min(levels, key=lambda each: round(abs(each - level), 9))
        return dict(self.by_level[nearest])

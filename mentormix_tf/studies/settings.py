"""A method's hyperparameters by noise level."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from mentormix_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class Settings:
    """A method's hyperparameters, given at some noise levels; others take those of the nearest.

    Attributes:
        by_level: dict from noise level, or None for all of them, to a dict of hyperparameters.
    """

    by_level: Mapping[float | None, Mapping[str, Any]]

    @classmethod
    def parse(cls, given, check):
        """Settings from a mapping, or from a list of mappings that have a `level` each.

        Args:
            given: as YAML and JSON give it.
            check: function that returns a mapping of hyperparameters with the right types.

        Raises:
            InputError: it is neither, or see `check`.
        """
        if isinstance(given, Mapping) and "level" not in given:
            return cls({None: check(given)})
        by_level = {}
        for each in given if isinstance(given, list) else [given]:
            level = each.get("level") if isinstance(each, Mapping) else None
            if not isinstance(level, (int, float)):
                raise InputError(f"{each} must be a mapping of settings with their level.")
            if level in by_level or not 0 <= level <= 1:
                raise InputError(f"level={level} must lie in [0, 1], and be given once.")
            by_level[float(level)] = check({k: v for k, v in each.items() if k != "level"})
        return cls(by_level)

    def at(self, level):
        """The hyperparameters at a noise level, a dict; of two levels as near, the lower's.

        Args:
            level: in [0, 1]; None where it is not known.

        Raises:
            InputError: settings go by levels, and this one is not known.
        """
        if None in self.by_level:
            return dict(self.by_level[None])
        if level is None:
            raise InputError(
                "settings go by level, but the data's is not known: give data a level."
            )
        # Rounded, so that 0.3 is as near to 0.2 as to 0.4.
        nearest = min(sorted(self.by_level), key=lambda each: round(abs(each - level), 9))
        return dict(self.by_level[nearest])

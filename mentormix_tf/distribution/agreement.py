"""Whether all workers train the same."""

import dataclasses
from collections.abc import Mapping, Sequence

from mentormix_tf.config import OutputConfig, RunConfig, codec
from mentormix_tf.errors import InputError, excerpt

__all__ = ["MAY_DIFFER", "check", "facts"]

# Settings of a run that may differ between its workers: where files are, and what the chief writes.
MAY_DIFFER = (
    "data_dir",
    "noise_file",
    "corrections",
    "examples_file",
    "model_dir",
    "keep_checkpoints",
    "tracker",
    "profile_steps",
)


def facts(config: RunConfig, output: OutputConfig, **others: str) -> dict[str, str]:
    """Returns what must be the same on all workers of a run, by name.

    Args:
        config: the run, resolved.
        output: its output.
        **others: what else must be the same.
    """
    given = {k: codec.serialize(v) for k, v in dataclasses.asdict(output).items()}
    every = {**config.flags(), **given, **others}
    return {name: text for name, text in every.items() if name not in MAY_DIFFER}


def check(facts: Sequence[Mapping[str, str]]) -> None:
    """Checks that what each worker says of its run is the same as what the first one says.

    Args:
        facts: the facts of each worker, such as the values of its flags, by name.

    Raises:
        InputError: a fact differs; the message names the first one with both of its values.
    """
    first = facts[0]
    for index, other in enumerate(facts):
        for name in (*first, *other):
            if first.get(name) != other.get(name):
                raise InputError(
                    f"Worker 0 has {_shown(name, first)}, but worker {index} has "
                    f"{_shown(name, other)}: start all workers with the same flags, versions and "
                    "data."
                )


def _shown(name, facts):
    return f"{name}={excerpt(facts[name])}" if name in facts else f"no {excerpt(name)}"

"""python -m mentormix_tf.prepare: makes noisy splits as TFRecords."""

import dataclasses

from mentormix_tf import command
from mentormix_tf.config import DataConfig
from mentormix_tf.data import splits
from mentormix_tf.data.noise import LEVELS
from mentormix_tf.errors import InputError


@dataclasses.dataclass(frozen=True)
class PrepareConfig:
    """What is made, and how.

    Args:
        noise_level: fraction of the training labels to make wrong, in [0, 1], or all for the
            paper's ten levels, one after the other; left out, 0.4.
        skip_bad_images: leave out images that can't be decoded, rather than refuse the data.
    """

    noise_level: str = ""
    skip_bad_images: bool = False


def main():
    """Makes what the flags describe, unless it is there, and prints what it is."""
    how = command.read_config(PrepareConfig)
    levels = LEVELS if how.noise_level == "all" else [_level(how.noise_level)]
    configs = [command.read_config(DataConfig, noise_level=level) for level in levels]
    for config in [splits.resolve(config) for config in configs]:
        print(describe(splits.prepare(config, how.skip_bad_images)))


def _level(text):
    try:
        return float(text) if text else None
    except ValueError:
        raise InputError(f"noise_level={text} must be a number in [0, 1], or all.") from None


def describe(made):
    """What a user wants to know of a prepared split, in a few lines.

    Args:
        made: `NoisySplits`.
    """
    manifest = made.manifest
    level = "" if manifest["noise_level"] is None else f", level {manifest['noise_level']:g}"
    rate = manifest["realized_noise_rate"]
    counts = ", ".join(f"{count:,} {name}" for name, count in manifest["num_examples"].items())
    seed = manifest["noise_seed"]
    return "\n".join(
        [
            f"{manifest['dataset']}, noise {manifest['noise']}{level}, seed {seed}",
            f"  examples     {counts}, {len(made.class_names)} classes",
            f"  wrong labels {'unknown' if rate is None else f'{rate:.2%} of the training labels'}",
            f"  sha256       {manifest['split_sha256']}",
            f"  folder       {made.path}",
        ]
    )


command.define_config("The noisy split", DataConfig, without=["noise_level"])
command.define_config("Preparing", PrepareConfig)

if __name__ == "__main__":
    command.run(main, "Makes a noisy split as TFRecords, unless it is there already.")

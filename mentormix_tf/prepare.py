"""python -m mentormix_tf.prepare: makes noisy splits as TFRecords."""

import dataclasses
import sys
from collections.abc import Sequence

from mentormix_tf import command, console
from mentormix_tf.command import Given, Section
from mentormix_tf.config import DataConfig
from mentormix_tf.data.beam_pipeline import BeamPipeline
from mentormix_tf.data.noise import LEVELS
from mentormix_tf.errors import InputError

__all__ = ["SECTIONS", "PrepareConfig", "main"]


@dataclasses.dataclass(frozen=True)
class PrepareConfig:
    """How the split is made.

    Args:
        noise_level: fraction of the training labels to make wrong, in [0, 1], or all for the
            paper's ten levels, one after another; by default, 0.4.
        skip_bad_images: leave out images that can't be decoded, instead of refusing the data.
        beam: check images and write the split by Apache Beam, in several processes or on a cluster.
        beam_options: Beam's pipeline options, separated by commas, such as
            --runner=FlinkRunner,--flink_master=localhost:8081. Default: a process on this machine
            for each core.
    """

    noise_level: str = ""
    skip_bad_images: bool = False
    beam: bool = False
    beam_options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.beam_options and not self.beam:
            raise InputError(f"beam_options={','.join(self.beam_options)} needs --beam.")


SECTIONS = (
    Section("The noisy split", DataConfig, without=["noise_level"]),
    Section("Preparing", PrepareConfig),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the prepare command; returns its exit status.

    Args:
        argv: the words after the command; None for those that the process was started with.
    """
    summary = "Makes a noisy split as TFRecords, unless it exists."
    return command.run(_prepare, summary, SECTIONS, argv)


def _prepare(given: Given) -> None:
    how = given.config(PrepareConfig)
    pipeline = BeamPipeline(how.beam_options) if how.beam else None
    command.load_backend()
    from mentormix_tf.data import splits

    levels = LEVELS if how.noise_level == "all" else [_level(how.noise_level)]
    configs = [given.config(DataConfig, noise_level=level) for level in levels]
    for config in [splits.resolve(config) for config in configs]:
        split = splits.prepare(config, how.skip_bad_images, pipeline)
        print(console.printable(split.text(), "\n"))
    print("Next: mentormix train, with the same --dataset, --noise, --noise_level and so on.")


def _level(text):
    try:
        return float(text) if text else None
    except ValueError:
        raise InputError(f"noise_level={text} must be a number in [0, 1], or all.") from None


if __name__ == "__main__":
    sys.exit(main())

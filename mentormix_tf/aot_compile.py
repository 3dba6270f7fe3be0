"""python -m mentormix_tf.aot_compile: compiles a train step for a TPU, without a TPU."""

import dataclasses
import sys
from collections.abc import Sequence

from mentormix_tf import command, methods
from mentormix_tf.command import Given, Section
from mentormix_tf.config import RunConfig, TrainingConfig
from mentormix_tf.errors import InputError

__all__ = ["SECTIONS", "StepConfig", "TargetConfig", "main"]


@dataclasses.dataclass(frozen=True)
class StepConfig:
    """The train step.

    Args:
        method: the method, one of {methods}.
        network: the network, one of {networks}.
        image_size: pixels per side of the network's input.
        channels: 1 for grayscale images, 3 for color.
        num_classes: number of classes.
        num_examples: size of the training set, for methods that keep values for each example.
        batch_size: examples in a step on one core; the train command's --batch_size is over all
            cores.
        precision: float32, or bfloat16 for the network's arithmetic; weights stay float32.
    """

    method: str = "mentormix"
    network: str = "small_cnn"
    image_size: int = 32
    channels: int = 3
    num_classes: int = 10
    num_examples: int = 50_000
    batch_size: int = 128
    precision: str = "float32"

    def __post_init__(self):
        for name, least in dict(image_size=1, channels=1, num_classes=2, num_examples=1).items():
            if getattr(self, name) < least:
                raise InputError(f"{name}={getattr(self, name)} must be at least {least}.")


@dataclasses.dataclass(frozen=True)
class TargetConfig:
    """What to compile for, and where to write the result.

    Args:
        topology: chip and shape of the TPU, such as v4:2x2x1, v5e:2x2, v5p:2x2x1 or v6e:2x2.
        output: folder for aot.json and the step as StableHLO, step.mlir; by default, a new one in
            runs/.
    """

    topology: str = "v5e:2x2"
    output: str = ""


SECTIONS = (
    Section("The step", StepConfig),
    Section("The method's hyperparameters", None),
    Section("The TPU", TargetConfig),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the aot_compile command; returns its exit status.

    Args:
        argv: the words after the command; None for those that the process was started with.
    """
    return command.run(_compile, "Compiles a train step for a TPU, without a TPU.", SECTIONS, argv)


def _compile(given: Given) -> None:
    command.load_backend()
    from mentormix_tf.training import aot

    step, target = given.config(StepConfig), given.config(TargetConfig)
    config = RunConfig(
        training=TrainingConfig(
            network=step.network, batch_size=step.batch_size, precision=step.precision
        ),
        method=step.method,
        hyperparameters=methods.resolve(step.method, given.hyperparameters()),
    )
    image_shape = (step.image_size, step.image_size, step.channels)
    facts = dataclasses.asdict(step)
    size = (step.num_classes, step.num_examples)
    folder, compiled = aot.compile_run(
        config, image_shape, *size, target.topology, target.output, facts
    )
    print(aot.table(compiled))
    print(f"More in {folder}/")


if __name__ == "__main__":
    sys.exit(main())

"""python -m mentormix_tf.train: trains a network on noisy labels."""

import dataclasses
import pathlib
import sys
from collections.abc import Sequence

from mentormix_tf import command
from mentormix_tf.command import Given, Section
from mentormix_tf.config import (
    DataConfig,
    OutputConfig,
    RunConfig,
    StrategyConfig,
    TrainingConfig,
)


@dataclasses.dataclass(frozen=True)
class MethodConfig:
    """How noisy labels are dealt with.

    Args:
        method: the method, one of {methods}; docs/methods.md says what they do. Given again, with
            another one, it drops the hyperparameters before it, as of a flagfile.
        compare: methods to train first, with the same data, network and steps, for comparison; as
            in --compare=vanilla.
    """

    method: str = "mentormix"
    compare: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class InsteadConfig:
    """What to do instead of training.

    Args:
        print_config: print the run that the flags stand for, with all that is left out filled in,
            as the flagfile that its folder would have.
        dry_run: try everything on a few steps without writing to model_dir, and say how long the
            run would take. Data that is missing is prepared.
    """

    print_config: bool = False
    dry_run: bool = False


SECTIONS = (
    Section("The noisy split", DataConfig),
    Section("The method", MethodConfig),
    Section("The method's hyperparameters", None),
    Section("Training", TrainingConfig),
    Section("The devices", StrategyConfig),
    Section("Results", OutputConfig),
    Section("Instead of training", InsteadConfig),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Trains as the words of a command line say; returns the exit status."""
    summary = "Trains a network on noisy labels and measures it on clean ones."
    return command.run(_train, summary, SECTIONS, argv)


def _train(given: Given) -> None:
    # Here, as TensorFlow takes seconds to import, which --help does not need.
    from mentormix_tf.distribution import strategies
    from mentormix_tf.training import comparison

    instead = given.config(InsteadConfig)
    if instead.print_config:
        runs = _runs(given)
        print("\n".join(f"# {name}\n{run.flagfile()}" for name, run in runs.items()), end="")
        return
    # First, as TensorFlow's devices can't be changed once it is used.
    strategy = strategies.get(given.config(StrategyConfig))
    is_chief = strategies.is_chief(strategy)
    runs = _runs(given)
    outputs = comparison.folders(runs, given.config(OutputConfig))
    print(f"On {strategies.describe(strategy)}{'' if is_chief else '; the first worker reports'}")
    if instead.dry_run:
        text = comparison.try_out(runs, outputs, strategy)
        if is_chief:
            print(text)
        return
    results = comparison.train(runs, outputs, strategy)
    if is_chief:
        print(comparison.table(results))
        folder = pathlib.PurePath(outputs[next(iter(runs))].model_dir)
        folder = folder.parent if len(runs) > 1 else folder
        print(f"More in {folder}/; tensorboard --logdir={folder}")


def _runs(given: Given) -> dict[str, RunConfig]:
    """What the flags ask for, by method; those to compare with come first."""
    from mentormix_tf.training.run import resolve

    chosen, runs = given.config(MethodConfig), {}
    for method in dict.fromkeys([*filter(None, chosen.compare), chosen.method]):
        # A hyperparameter on the command line belongs to --method, not to what it is compared to.
        hyperparameters = given.hyperparameters() if method == chosen.method else {}
        data, training = given.config(DataConfig), given.config(TrainingConfig)
        runs[method] = resolve(RunConfig(data, training, method, hyperparameters))
    return runs


if __name__ == "__main__":
    sys.exit(main())

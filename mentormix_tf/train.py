"""python -m mentormix_tf.train: trains a network on noisy labels."""

import dataclasses
import pathlib
import shlex
import sys
from collections.abc import Mapping, Sequence

from mentormix_tf import backend, command, console, files, methods
from mentormix_tf.command import Given, Section
from mentormix_tf.config import (
    DataConfig,
    OutputConfig,
    RoundsConfig,
    RunConfig,
    StrategyConfig,
    TrainingConfig,
)
from mentormix_tf.data import settings
from mentormix_tf.runs import contents, defaults, layout

__all__ = ["FIRST", "SECTIONS", "InsteadConfig", "MethodConfig", "main"]


@dataclasses.dataclass(frozen=True)
class MethodConfig:
    """How training handles noisy labels.

    Args:
        method: the method, one of {methods}; docs/methods.md describes them. If it is given twice
            with different names, the second drops the hyperparameters given before it, such as
            those of a flagfile.
        compare: methods to train first, on the same data with the same network and steps, for
            comparison; as in --compare=vanilla.
    """

    method: str = "mentormix"
    compare: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class InsteadConfig:
    """What to do instead of training.

    Args:
        print_config: print the complete settings of the run, including defaults, as the flagfile
            that its folder would hold.
        dry_run: try a few steps of everything without writing to model_dir, and estimate the
            run's duration. Missing data is prepared.
    """

    print_config: bool = False
    dry_run: bool = False


SECTIONS = (
    Section("The noisy split", DataConfig),
    Section("The method", MethodConfig),
    Section("The method's hyperparameters", None),
    Section("Training", TrainingConfig),
    Section("Trainings before it", RoundsConfig),
    Section("The devices", StrategyConfig),
    Section("Results", OutputConfig),
    Section("Instead of training", InsteadConfig),
)


# The flags that --help shows.
FIRST = (
    *("dataset", "noise", "noise_level", "corrections", "method", "compare", "gamma_p", "alpha"),
    *("network", "pretrained", "train_layers", "augmentation", "image_size", "batch_size"),
    *("train_steps", "learning_rate", "seed", "audit", "strategy", "model_dir"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the train command; returns its exit status.

    Args:
        argv: the words after the command; None for those that the process was started with.
    """
    summary = "Trains a network on noisy labels and measures it on clean ones."
    return command.run(_train, summary, SECTIONS, argv, first=FIRST)


def _train(given: Given) -> None:
    instead, runs, output = given.config(InsteadConfig), _runs(given), given.config(OutputConfig)
    if instead.print_config:
        runs = {name: defaults.resolve(run) for name, run in runs.items()}
        print("\n".join(f"# {name}\n{run.flagfile()}" for name, run in runs.items()), end="")
        return
    if output.model_dir:
        _keep_kernels(output.model_dir, runs)
    command.load_backend()
    # Imported here because TensorFlow takes seconds to import, and most mistakes are found before.
    from mentormix_tf.data.service import Servers
    from mentormix_tf.distribution import strategies
    from mentormix_tf.rounds import comparison

    # First, because TensorFlow's devices can't be changed once they are used.
    devices = given.config(StrategyConfig)
    strategy = strategies.get(devices)
    servers = Servers(devices.data_service, devices.worker_timeout)
    is_chief = strategies.is_chief(strategy)
    runs = {name: defaults.resolve(run) for name, run in runs.items()}
    outputs = comparison.folders(runs, output)
    print(f"On {strategies.describe(strategy)}{'' if is_chief else '; the first worker reports'}")
    if instead.dry_run:
        text = comparison.try_out(runs, outputs, strategy, servers)
        if is_chief:
            print(text)
        return
    results = comparison.train(runs, outputs, strategy, servers)
    if is_chief:
        print(comparison.table(results))
        own = pathlib.PurePath(outputs[next(reversed(runs))].model_dir)
        folder = own.parent if len(runs) > 1 else own
        print(f"More in {folder}/")
        print(console.printable(console.next_steps(_next_steps(own, folder)), "\n"))


def _next_steps(run: pathlib.PurePath, folder: pathlib.PurePath) -> dict[str, str]:
    own, all_runs = shlex.quote(str(run)), shlex.quote(str(folder))
    return {
        f"tensorboard --logdir={all_runs}": "curves and pictures",
        f"mentormix audit --model_dir={own}": "which labels are wrong",
        f"mentormix export --model_dir={own}": "a SavedModel for serving",
    }


def _runs(given: Given) -> dict[str, RunConfig]:
    """The runs to train, by method; those to compare with come first.

    Their data sets are completed; hyperparameters can be checked with Keras alone.
    """
    chosen, runs = given.config(MethodConfig), {}
    data = settings.resolve(given.config(DataConfig))
    for method in dict.fromkeys([*filter(None, chosen.compare), chosen.method]):
        # Hyperparameters on the command line belong to --method, not to those of --compare.
        hyperparameters = given.hyperparameters() if method == chosen.method else {}
        methods.hyperparameters_of(method)  # which raises an error if there is no such method
        training, rounds = given.config(TrainingConfig), given.config(RoundsConfig)
        runs[method] = RunConfig(data, training, method, hyperparameters, rounds)
    return runs


def _keep_kernels(model_dir: str, runs: Mapping[str, RunConfig]) -> None:
    """Has a run go on with the kernels that it began with; see `backend.keep_kernels`."""
    folder = files.expanded(model_dir, "model_dir")
    for path in (folder, *(folder / name for name in runs)):
        if files.exists(path / layout.MODEL, "model_dir"):
            backend.keep_kernels(contents.model(path / layout.MODEL).get("onednn"))


if __name__ == "__main__":
    sys.exit(main())

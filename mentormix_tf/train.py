"""python -m mentormix_tf.train: trains a network on noisy labels."""

import dataclasses
import datetime

from etils import epath

from mentormix_tf import command
from mentormix_tf.config import (
    DataConfig,
    OutputConfig,
    RunConfig,
    StrategyConfig,
    TrainingConfig,
)
from mentormix_tf.distribution import strategies
from mentormix_tf.runs.run_folder import RunFolder
from mentormix_tf.training import dry_run
from mentormix_tf.training.run import resolve, run


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


def main():
    """Trains as the flags say, one method after the other, and prints how each ended."""
    instead = command.read_config(InsteadConfig)
    if instead.print_config:
        print("\n".join(f"# {name}\n{run.flagfile()}" for name, run in _runs().items()), end="")
        return
    # First, as TensorFlow's devices can't be changed once it is used.
    strategy = strategies.get(command.read_config(StrategyConfig))
    is_chief = strategies.is_chief(strategy)
    output = command.read_config(OutputConfig)
    model_dir = epath.Path(output.model_dir or _new_folder()).expanduser()
    runs = _runs()
    folders = {method: model_dir / method if len(runs) > 1 else model_dir for method in runs}
    for method, folder in folders.items():
        RunFolder(folder, runs[method]).check(output.resume)

    print(f"On {strategies.describe(strategy)}{'' if is_chief else '; the first worker reports'}")
    outputs = {k: dataclasses.replace(output, model_dir=str(v)) for k, v in folders.items()}
    if instead.dry_run:
        for method, config in runs.items():
            facts = dry_run.dry_run(config, outputs[method], strategy)
            if is_chief:
                print(f"{method} on {_describe(config.data)}")
                print(dry_run.describe(facts), flush=True)
        return

    results = []
    for method, config in runs.items():
        if is_chief:
            data = _describe(config.data)
            print(f"Training {method} on {data}; results go to {folders[method]}/")
        results.append(run(config, outputs[method], strategy))
    if is_chief:
        print(_table(results))
        print(f"More in {model_dir}/; tensorboard --logdir={model_dir}")


def _runs():
    """What the flags ask for: a dict from method to `RunConfig`, those to compare with first."""
    chosen = command.read_config(MethodConfig)
    runs = {}
    for method in dict.fromkeys([*filter(None, chosen.compare), chosen.method]):
        # A hyperparameter on the command line belongs to --method, not to what it is compared to.
        hyperparameters = command.read_hyperparameters() if method == chosen.method else {}
        config = RunConfig(
            command.read_config(DataConfig),
            command.read_config(TrainingConfig),
            method,
            hyperparameters,
        )
        runs[method] = resolve(config)
    return runs


def _new_folder():
    return f"runs/{datetime.datetime.now():%Y-%m-%d-%H-%M-%S}"


def _describe(data):
    if data.noise == "none":
        return f"{data.dataset} with its labels as they are"
    level = "" if data.noise_level is None else f"{data.noise_level:.0%} "
    return f"{data.dataset} with {level}{data.noise} label noise"


def _table(results):
    """The results as text, a row each; accuracies are on clean test labels."""
    row = "{:<14}{:>8}{:>8}{:>8}{:>10}{:>10}".format
    lines = ["", row("method", "peak", "final", "drop", "noise", "images/s")]
    for result in results:
        speed, noise = result["images_per_second"], result["realized_noise_rate"]
        lines.append(
            row(
                result["method"],
                f"{result['peak_accuracy']:.3f}",
                f"{result['final_accuracy']:.3f}",
                f"{result['accuracy_drop']:.3f}",
                "unknown" if noise is None else f"{noise:.1%}",
                "-" if speed is None else f"{speed:,.0f}",
            )
        )
    return "\n".join(
        [*lines, "", "peak, final: accuracy on clean test labels; noise: wrong training labels"]
    )


command.define_config("The noisy split", DataConfig)
command.define_config("The method", MethodConfig)
command.define_hyperparameters("The method's hyperparameters")
command.define_config("Training", TrainingConfig)
command.define_config("The devices", StrategyConfig)
command.define_config("Results", OutputConfig)
command.define_config("Instead of training", InsteadConfig)

if __name__ == "__main__":
    command.run(main, "Trains a network on noisy labels and measures it on clean ones.")

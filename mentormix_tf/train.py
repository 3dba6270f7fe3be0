"""python -m mentormix_tf.train: trains a network on noisy labels."""

import dataclasses
import datetime

from etils import epath

from mentormix_tf import command, methods
from mentormix_tf.config import (
    DataConfig,
    OutputConfig,
    RunConfig,
    StrategyConfig,
    TrainingConfig,
)
from mentormix_tf.data import splits
from mentormix_tf.training import strategies
from mentormix_tf.training.run import run
from mentormix_tf.training.run_folder import RunFolder


@dataclasses.dataclass(frozen=True)
class MethodConfig:
    """How noisy labels are dealt with.

    Args:
        method: vanilla, weight_decay, dropout, s_model, bootstrap, mixup, mentornet, mentormix,
            gce, dynamic_bootstrap, data_parameters or o2u; docs/methods.md says what they do.
        compare: methods to train first, with the same data, network and steps, for comparison; as
            in --compare=vanilla.
    """

    method: str = "mentormix"
    compare: tuple[str, ...] = ()


def main():
    """Trains as the flags say, one method after the other, and prints how each ended."""
    # First, as TensorFlow's devices can't be changed once it is used.
    strategy = strategies.get(command.read_config(StrategyConfig))
    is_chief = strategies.is_chief(strategy)
    chosen = command.read_config(MethodConfig)
    output = command.read_config(OutputConfig)
    model_dir = epath.Path(output.model_dir or _new_folder()).expanduser()
    data = splits.resolve(command.read_config(DataConfig))
    runs = {}
    for method in dict.fromkeys([*filter(None, chosen.compare), chosen.method]):
        # A hyperparameter on the command line belongs to --method, not to what it is compared to.
        hyperparameters = command.read_hyperparameters() if method == chosen.method else {}
        runs[method] = RunConfig(
            data=data,
            training=command.read_config(TrainingConfig),
            method=method,
            hyperparameters=methods.resolve(method, hyperparameters),
        )
    folders = {method: model_dir / method if len(runs) > 1 else model_dir for method in runs}
    for method, folder in folders.items():
        RunFolder(folder, runs[method]).check(output.resume)

    results = []
    print(f"On {strategies.describe(strategy)}{'' if is_chief else '; the first worker reports'}")
    for method, config in runs.items():
        if is_chief:
            print(f"Training {method} on {_describe(data)}; results go to {folders[method]}/")
        here = dataclasses.replace(output, model_dir=str(folders[method]))
        results.append(run(config, here, strategy))
    if is_chief:
        print(_table(results))
        print(f"More in {model_dir}/; tensorboard --logdir={model_dir}")


def _new_folder():
    return f"runs/{datetime.datetime.now():%Y-%m-%d-%H-%M-%S}"


def _describe(data):
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

if __name__ == "__main__":
    command.run(main, "Trains a network on noisy labels and measures it on clean ones.")

"""python -m mentormix_tf.aot_compile: compiles a train step for a TPU without having one."""

import dataclasses
import datetime
import json
import pathlib

from mentormix_tf import command, methods, version
from mentormix_tf.config import RunConfig, TrainingConfig
from mentormix_tf.errors import InputError
from mentormix_tf.training import tpu_compiler


@dataclasses.dataclass(frozen=True)
class StepConfig:
    """The train step.

    Args:
        method: how noisy labels are dealt with, by name.
        network: the network, by name.
        image_size: pixels a side that the network is shown.
        channels: 1 for grey images, 3 for coloured ones.
        num_classes: number of classes.
        num_examples: size of the training set, for methods that keep something for each example.
        batch_size: examples in a step on one core; the train command's --batch_size is over all.
        precision: float32, or bfloat16 for the network's arithmetic; its weights stay float32.
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
    """What to compile for, and where the result goes.

    Args:
        topology: chip and shape of the TPU, as in v4:2x2x1, v5e:2x2, v5p:2x2x1 or v6e:2x2.
        output: folder for aot.json and the step as StableHLO, step.mlir; left out, a new one in
            runs/.
    """

    topology: str = "v5e:2x2"
    output: str = ""


def main():
    """Lowers and compiles the step that the flags name; says what it takes and whether it fits."""
    step, target = command.read_config(StepConfig), command.read_config(TargetConfig)
    config = RunConfig(
        training=TrainingConfig(
            network=step.network, batch_size=step.batch_size, precision=step.precision
        ),
        method=step.method,
        hyperparameters=methods.resolve(step.method, command.read_hyperparameters()),
    )
    folder = _free_folder(target.output)
    tpu_compiler.core(target.topology)  # refused before anything is made
    image_shape = (step.image_size, step.image_size, step.channels)
    print(f"Lowering the step of {step.method} on {step.network} ...", flush=True)
    stablehlo = tpu_compiler.lower(config, image_shape, step.num_classes, step.num_examples)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "step.mlir").write_text(stablehlo)
    except OSError as error:
        raise InputError(f"output={folder} can't be written: {error.strerror}.") from error
    print(f"Compiling for {target.topology}: seconds to minutes ...", flush=True)
    compiled = tpu_compiler.compile_step(stablehlo, target.topology)
    print(_report(compiled))
    result = {
        "topology": target.topology,
        **dataclasses.asdict(step),
        "hyperparameters": config.hyperparameters,
        **dataclasses.asdict(compiled),
        "versions": {"mentormix_tf": version.__version__, **tpu_compiler.versions()},
    }
    (folder / "aot.json").write_text(json.dumps(result, indent=2) + "\n")
    print(f"More in {folder}/")


def _free_folder(output):
    """The folder to write to, which holds no other result."""
    folder = pathlib.Path(output or f"runs/aot-{datetime.datetime.now():%Y-%m-%d-%H-%M-%S}")
    folder = folder.expanduser()
    for name in ("aot.json", "step.mlir"):
        if (folder / name).exists():
            raise InputError(
                f"output={folder} holds another {name}: name a new folder, or move that one away."
            )
    return folder


def _report(compiled):
    def row(name, size):
        return f"  {name:<16}{size / 2**20:>12,.3f} MiB"

    has = f"a core has {compiled.hbm / 2**30:g} GiB"
    lines = ["", f"Compiled in {compiled.seconds:.0f} s, for one core:"]
    if not compiled.fits:
        return "\n".join([*lines, f"  does not fit: {has}; {compiled.refusal}"])
    lines += [
        f"  {'operations':<16}{compiled.flops / 1e9:>12,.3f} GFLOP",
        f"  {'bytes accessed':<16}{compiled.bytes_accessed / 1e9:>12,.3f} GB",
        *(row(name.replace("_", " "), size) for name, size in compiled.memory.items()),
        f"  fits: {has}",
    ]
    return "\n".join(lines)


command.define_config("The step", StepConfig)
command.define_hyperparameters("The method's hyperparameters")
command.define_config("The TPU", TargetConfig)

if __name__ == "__main__":
    command.run(main, "Compiles a train step for a TPU, without a TPU.")

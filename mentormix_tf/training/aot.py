"""Compiles a run's train step for a TPU, and writes its memory and operations to a folder."""

import dataclasses
import datetime
import json
import logging
import pathlib
from collections.abc import Mapping
from typing import Any

from mentormix_tf import files, version
from mentormix_tf.config import RunConfig
from mentormix_tf.errors import InputError
from mentormix_tf.training import tpu_compiler

__all__ = ["compile_run", "table"]

_log = logging.getLogger(__name__)


def compile_run(
    config: RunConfig,
    image_shape: tuple[int, int, int],
    num_classes: int,
    num_examples: int,
    topology: str,
    output: str = "",
    facts: Mapping[str, Any] | None = None,
) -> tuple[pathlib.Path, tpu_compiler.Compiled]:
    """Lowers and compiles a train step, and writes aot.json and step.mlir (StableHLO).

    Args:
        config: the run; its batch size is for one core.
        image_shape: `(height, width, channels)`.
        num_classes: number of classes.
        num_examples: size of the training set.
        topology: chip and shape of the TPU, such as "v5e:2x2".
        output: the folder; "" for a new one in runs/.
        facts: further entries of aot.json.

    Returns:
        The folder, and the compiler's report.

    Raises:
        InputError: the topology is unknown, XLA can't compile the step, or the folder holds
            another result or can't be written.
    """
    folder = _free_folder(output)
    tpu_compiler.core(topology)  # refused before anything is made
    _log.info("Lowering the step of %s on %s ...", config.method, config.training.network)
    stablehlo = tpu_compiler.lower(config, image_shape, num_classes, num_examples)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "step.mlir").write_text(stablehlo)
    except OSError as error:
        raise InputError(f"output={folder} can't be written: {error.strerror}.") from error
    _log.info("Compiling for %s: seconds to minutes ...", topology)
    compiled = tpu_compiler.compile_step(stablehlo, topology)
    result = {
        "topology": topology,
        **(facts or {}),
        "hyperparameters": config.hyperparameters,
        **dataclasses.asdict(compiled),
        "versions": {"mentormix_tf": version.__version__, **tpu_compiler.versions()},
    }
    (folder / "aot.json").write_text(json.dumps(result, indent=2) + "\n")
    return folder, compiled


def table(compiled: tpu_compiler.Compiled) -> str:
    """Formats the compiler's report on a step as text."""

    def row(name, size):
        return f"  {name:<16}{size / 2**20:>12,.3f} MiB"

    has = f"a core has {compiled.hbm / 2**30:g} GiB"
    lines = ["", f"Compiled in {compiled.seconds:.0f} s, for one core:"]
    if not compiled.fits:
        return "\n".join([*lines, f"  does not fit: {has}; {compiled.refusal}"])
    assert compiled.flops is not None and compiled.bytes_accessed is not None  # as it fits
    lines += [
        f"  {'operations':<16}{compiled.flops / 1e9:>12,.3f} GFLOP",
        f"  {'bytes accessed':<16}{compiled.bytes_accessed / 1e9:>12,.3f} GB",
        *(row(name.replace("_", " "), size) for name, size in compiled.memory.items()),
        f"  fits: {has}",
    ]
    return "\n".join(lines)


def _free_folder(output):
    """The folder to write to, which must hold no other result."""
    default = f"runs/aot-{datetime.datetime.now():%Y-%m-%d-%H-%M-%S-%f}"
    folder = pathlib.Path(files.expanded(output or default, "output"))
    for name in ("aot.json", "step.mlir"):
        if (folder / name).exists():
            raise InputError(
                f"output={folder} holds another {name}: name a new folder, or move that one away."
            )
    return folder

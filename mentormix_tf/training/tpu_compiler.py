"""Compiles a train step with Google's TPU compiler, on a machine without a TPU.

TensorFlow lowers the step to StableHLO, the input language of XLA's compilers; the TPU compiler is
in the package `libtpu`, which JAX can call without a TPU. This is the only file of the package that
uses JAX's private modules.
"""

# JAX and libtpu are optional.
# pyright: reportMissingImports=false

import dataclasses
import importlib.metadata
import os
import re
import time
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from mentormix_tf.config import RunConfig
from mentormix_tf.errors import InputError
from mentormix_tf.training.model import build_model, build_network

__all__ = [
    "ENVIRONMENT",
    "HBM",
    "UNITS",
    "Compiled",
    "compile_step",
    "core",
    "lower",
    "stablehlo",
    "versions",
]

# Memory of a chip in GiB. Source: the pages of the TPU versions in
# https://cloud.google.com/tpu/docs/system-architecture-tpu-vm
HBM = {"v4": 32, "v5e": 16, "v5p": 95, "v6e": 32}
UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}  # in the compiler's messages, as powers of 2
# Without these, libtpu searches the network for a TPU's host, complains that it finds none, and
# refuses to run in two processes at once.
ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "true",
    "JAX_PLATFORMS": "cpu",
}


@dataclasses.dataclass(frozen=True)
class Compiled:
    """The compiler's report on one step on one core.

    Args:
        hbm: memory of a core, in bytes.
        fits: whether the step fits into that memory.
        refusal: the compiler's message if it does not fit, else "".
        seconds: how long compiling took.
        flops: floating-point operations of the step; None if it does not fit.
        bytes_accessed: bytes that the step reads and writes; None if it does not fit.
        memory: bytes of `arguments`, `outputs`, `temporaries` and `code`; `in_place`, of the
            outputs that overwrite arguments; and the `total`, which counts those once. If the step
            does not fit, only the `total` that the compiler names.
    """

    hbm: int
    fits: bool
    refusal: str
    seconds: float
    flops: float | None
    bytes_accessed: float | None
    memory: dict[str, int]


def lower(
    config: RunConfig, image_shape: tuple[int, int, int], num_classes: int, num_examples: int
) -> str:
    """Lowers the complete train step: mixing, both passes, optimizer, BatchNorm and metrics.

    Nothing is executed, so a large batch takes no longer than a small one.

    Args:
        config: the run, resolved; its batch size is for one core.
        image_shape: `(height, width, channels)`.
        num_classes: number of classes.
        num_examples: size of the training set.

    Returns:
        StableHLO as text.

    Raises:
        InputError: XLA can't compile something in the step.
    """
    network = build_network(config, image_shape, num_classes)
    model = build_model(config, network, num_examples)
    size = config.training.batch_size
    # The columns and types of the pipeline's batches.
    names = ["label", "true_label", "is_clean", *(["index"] if model.uses_index else [])]
    batch = {name: tf.TensorSpec([size], tf.int64) for name in names}
    batch["image"] = tf.TensorSpec([size, *image_shape], tf.float32)
    try:
        step = tf.function(lambda **batch: model.train_step(batch), autograph=False)
        return stablehlo(step, batch)
    except (tf.errors.InvalidArgumentError, ValueError) as error:
        lacking = re.search(r"No registered '(\w+)' OpKernel", str(error))
        if lacking is None:
            raise
        raise InputError(
            f"network={config.training.network} with method={config.method} uses {lacking[1]}, for "
            "which XLA has no kernel: no TPU can run it."
        ) from error


def stablehlo(function: Any, arguments: Mapping[str, tf.TensorSpec]) -> str:
    """Lowers a function to StableHLO, as text.

    Its `main` takes the arguments in the order of their names, then the variables in the order of
    the concrete function's `captured_inputs`; it returns the results, then the new values of the
    variables that it writes, in the same order.

    Args:
        function: a `tf.function`.
        arguments: shape and type of each argument, by name.
    """
    compiled = tf.function(function, autograph=False, jit_compile=True)
    text = compiled.experimental_get_compiler_ir(**arguments)(stage="stablehlo")
    # TensorFlow emits one operation of a dialect that only its own parser knows.
    return re.sub(
        r"mhlo\.copy (%\S+) : (tensor<[^>]*>)", r"stablehlo.reshape \1 : (\2) -> \2", text
    )


def core(topology: str) -> tuple[Any, int]:
    """The first core of a topology, and its memory.

    Args:
        topology: chip and shape, as in "v5e:2x2".

    Returns:
        JAX's device, and its memory in bytes. A core is one device to the compiler: a chip of v5e,
        v5p or v6e, half a chip of v4.

    Raises:
        InputError: JAX or libtpu is missing, or the compiler doesn't know the topology.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import libtpu  # noqa: F401
        from jax.errors import JaxRuntimeError
        from jax.experimental import topologies
    except ImportError as error:
        raise InputError(
            f"{error.name}, which the TPU compiler needs, is not installed: pip install "
            "'mentormix-tf[aot]', with Python 3.11 or newer."
        ) from error
    chip = topology.split(":")[0]
    try:
        # Other shapes than whole positive numbers end the process.
        if chip not in HBM or not re.fullmatch(r"\w+:[1-9]\d*(x[1-9]\d*){1,2}", topology):
            raise ValueError(f"the chips are {', '.join(HBM)}")
        described = topologies.get_topology_desc(platform="tpu", topology_name=topology)
    except (JaxRuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise InputError(
            f"topology={topology} is unknown to libtpu {importlib.metadata.version('libtpu')} "
            f"({reason}): give a chip and a shape, as in v4:2x2x1, v5e:2x2, v5p:2x2x1 or v6e:2x2."
        ) from error
    first, *others = described.devices
    cores = 1 + sum(other.coords == first.coords for other in others)
    return first, HBM[chip] * 2**30 // cores


def compile_step(stablehlo: str, topology: str) -> Compiled:
    """Compiles a step for one core of a TPU, which takes minutes for a large network.

    Args:
        stablehlo: the step, from `lower`.
        topology: chip and shape, as in "v5e:2x2".

    Raises:
        InputError: see `core`; or the compiler does not support something in the step.
    """
    device, hbm = core(topology)
    # JAX has no public way to compile StableHLO for a device that isn't there.
    from jax._src import compiler
    from jax._src.interpreters import mlir
    from jax._src.lib import xla_client
    from jax.errors import JaxRuntimeError
    from jaxlib.mlir import ir

    options = compiler.get_compile_options(
        num_replicas=1, num_partitions=1, device_assignment=[[device.id]]
    )
    started = time.perf_counter()
    try:
        with mlir.make_ir_context():
            module = ir.Module.parse(stablehlo)
            devices = xla_client.DeviceList((device,))
            executable = device.client.compile(module, devices, options)
    except JaxRuntimeError as error:
        if "Ran out of memory" in str(error):
            return _refused(str(error), hbm, time.perf_counter() - started)
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise InputError(
            f"topology={topology}: the TPU compiler can't compile the step ({reason})."
        ) from error
    seconds = time.perf_counter() - started
    cost = executable.cost_analysis()
    cost = cost[0] if isinstance(cost, list) else cost
    return Compiled(
        hbm=hbm,
        fits=True,
        refusal="",
        seconds=seconds,
        flops=cost["flops"],
        bytes_accessed=cost["bytes accessed"],
        memory=_memory(executable.get_compiled_memory_stats()),
    )


def versions() -> dict[str, str]:
    """The versions of the packages that lower and compile steps, by name."""
    jax_packages = ("jax", "jaxlib", "libtpu")
    return {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        **{name: importlib.metadata.version(name) for name in jax_packages},
    }


def _refused(message, hbm, seconds):
    """The report on a step that does not fit, whose size is in the compiler's message."""
    found = re.search(r"Ran out of memory.*?(?=\. HLO module|\n|$)", message)
    reason = found[0] if found else message
    size = re.search(r"([\d.]+)([KMGT])\b", reason)
    total = {"total": round(float(size[1]) * 2 ** UNITS[size[2]])} if size else {}
    return Compiled(hbm, False, reason, seconds, flops=None, bytes_accessed=None, memory=total)


def _memory(stats):
    sizes = {
        "arguments": stats.argument_size_in_bytes,
        "outputs": stats.output_size_in_bytes,
        "temporaries": stats.temp_size_in_bytes,
        "code": stats.generated_code_size_in_bytes,
    }
    in_place = stats.alias_size_in_bytes
    return {**sizes, "in_place": in_place, "total": sum(sizes.values()) - in_place}

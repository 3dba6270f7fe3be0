r"""Trains on a GPU without TensorFlow: JAX runs the train step that TensorFlow has lowered.

    python -m benchmarks.step_on_gpu export FOLDER     # where TensorFlow is
    python step_on_gpu.py run FOLDER                   # where JAX and a GPU are
    python -m benchmarks.step_on_gpu evaluate FOLDER   # where TensorFlow is, with FOLDER's files

For machines where TensorFlow does not find the GPU's software. A step is the whole of it: mixing,
both passes, optimizer, BatchNorm, metrics and the statistics of --audit. `export` writes steps as
StableHLO, with their first arguments; `run` trains each method to its end, on digits with 40 %
wrong labels, and measures the speed of MentorMix's step on larger networks; `evaluate` compares
the accuracy of what was trained with that of TensorFlow's own training.
"""

# JAX is not needed where TensorFlow is.
# pyright: reportMissingImports=false, reportArgumentType=false, reportOptionalSubscript=false

import pathlib
import re
import sys
import time

import numpy as np

MEASURED = [  # with MentorMix, on images of 32 x 32
    ("preact_resnet18", "bfloat16", 128),
    ("preact_resnet18", "bfloat16", 1024),
    ("preact_resnet18", "float32", 128),
    ("resnet32", "bfloat16", 128),
    ("resnet32", "bfloat16", 1024),
]
WARM_UP, STEPS, ROUNDS = 5, 40, 5


def export(folder):
    """Writes each step as STEP.mlir, with its variables and the order of its logs in STEP.npz."""
    from mentormix_tf import methods
    from mentormix_tf.config import RunConfig, TrainingConfig
    from mentormix_tf.training.model import build_model, build_network

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for method in methods.METHODS:
        setup, columns = _digits(method)
        _write(folder / method, setup.model, columns)
    np.savez_compressed(folder / "digits.npz", **columns)
    for network, precision, size in MEASURED:
        training = TrainingConfig(network=network, precision=precision, batch_size=size)
        known = methods.resolve("mentormix", {})
        config = RunConfig(training=training, method="mentormix", hyperparameters=known)
        model = build_model(config, build_network(config, (32, 32, 3), 10), 50_000)
        _write(folder / f"{network}-{precision}-{size}", model, _random_batches(size))


def _digits(method):
    """A training of a method, and all its batches."""
    import tensorflow as tf

    from mentormix_tf.training.run import Setup

    setup = Setup(_config(method), tf.distribute.get_strategy())
    steps, batches = setup.config.training.train_steps, iter(setup.train_batches(0))
    setup.model.begin_training(steps)
    batches = [next(batches) for _ in range(steps)]
    return setup, {name: np.stack([batch[name] for batch in batches]) for name in batches[0]}


def _config(method):
    from mentormix_tf.config import DataConfig, RunConfig, TrainingConfig
    from mentormix_tf.runs.defaults import resolve

    data = DataConfig(noise="symmetric", noise_level=0.4)
    return resolve(RunConfig(data, TrainingConfig(audit=True), method))


def _random_batches(size):
    random = np.random.RandomState(0)
    image = random.randint(256, size=(1, size, 32, 32, 3)).astype(np.float32) / 127.5 - 1.0
    return {"image": image, "label": random.randint(10, size=(1, size))}


def _step(model, spec):
    """The step as a function, and the variables that it uses, in the order of its arguments."""
    import tensorflow as tf

    model.build_for(spec)
    function = tf.function(lambda **batch: model.train_step(batch))
    concrete = function.get_concrete_function(**spec)
    by_handle = {id(v.handle): v for v in concrete.graph.variables}
    return function, concrete, [by_handle[id(handle)] for handle in concrete.captured_inputs]


def _write(path, model, columns):
    import tensorflow as tf

    from mentormix_tf.training import tpu_compiler

    spec = {name: tf.TensorSpec(v.shape[1:], v.dtype) for name, v in columns.items()}
    function, concrete, variables = _step(model, spec)
    path.with_suffix(".mlir").write_text(tpu_compiler.stablehlo(function, spec))
    values = {f"{i:04}": _small(v.numpy()) for i, v in enumerate(variables)}
    np.savez_compressed(
        path.with_suffix(".npz"), logs=sorted(concrete.structured_outputs), **values
    )


def _small(values):
    """The values of a large network with 3 bits of the mantissa, for smaller files."""
    if values.dtype != np.float32 or values.size < 100_000:
        return values
    return (values.view(np.uint32) & 0xFFF00000).view(np.float32)


def run(folder):
    """Trains each method, and measures the speed of MentorMix on larger networks."""
    import jax

    jax.config.update("jax_enable_x64", True)
    device, folder = jax.devices()[0], pathlib.Path(folder)
    print(f"jax {jax.__version__} on {device.device_kind}, {time.strftime('%Y-%m-%d')}\n")
    digits = dict(np.load(folder / "digits.npz"))
    steps = [path.stem for path in sorted(folder.glob("*.mlir")) if "-" not in path.stem]
    for name in steps:
        step, started = Step(folder / name, device), time.perf_counter()
        for i in range(len(digits["label"])):
            logs = step(step.batch(digits, i))
        logs = {name: round(float(value), 4) for name, value in logs.items()}
        print(f"{name}: {i + 1} steps in {time.perf_counter() - started:.1f} s; {logs}", flush=True)
        trained = {f"{i:04}": np.asarray(v) for i, v in enumerate(step.variables)}
        np.savez_compressed(folder / f"{name}-trained.npz", **trained)
    print("\n| step | images/s, median | lowest | highest | compiled in, s |")
    print("|---|---|---|---|---|")
    for network, precision, size in MEASURED:
        step = Step(folder / f"{network}-{precision}-{size}", device)
        batch = step.batch(_random_batches(size), 0)
        rates = [size * STEPS / step.seconds(batch) for _ in range(ROUNDS)]
        cells = f"{np.median(rates):,.0f} | {min(rates):,.0f} | {max(rates):,.0f}"
        print(f"| {network}, {precision}, {size} | {cells} | {step.compiled_in:.0f} |", flush=True)


def compiled(text, device):
    """Compiles StableHLO for a device; returns what executes it."""
    from jax._src import compiler
    from jax._src.interpreters import mlir
    from jax._src.lib import xla_client
    from jaxlib.mlir import ir

    options = compiler.get_compile_options(
        num_replicas=1, num_partitions=1, device_assignment=[[device.id]]
    )
    with mlir.make_ir_context():
        module = ir.Module.parse(text)
        devices = xla_client.DeviceList((device,))
        return device.client.compile_and_load(module, devices, options)


class Step:
    """A lowered step on a device, with its variables.

    Args:
        path: the files' path without .mlir and .npz.
        device: JAX's device.
    """

    def __init__(self, path, device):
        import jax

        text, stored = path.with_suffix(".mlir").read_text(), np.load(path.with_suffix(".npz"))
        started = time.perf_counter()
        self._executable = compiled(text, device)
        self.compiled_in = time.perf_counter() - started
        self._put = lambda values: jax.device_put(values, device)
        self._logs = stored["logs"].tolist()
        self.variables = [self._put(stored[n]) for n in sorted(stored.files) if n.isdigit()]
        # Each variable's position among the arguments, and that of its new value in the results.
        pattern = r"parameter_number = (\d+) : i64\}, output_index = array<i64: (\d+)>"
        self._written = [(int(a), int(r)) for a, r in re.findall(pattern, text)]

    def batch(self, columns, i):
        """The batch of a step, on the device; its columns are in the order of their names."""
        return [self._put(columns[name][i]) for name in sorted(columns)]

    def __call__(self, batch):
        """Takes a step, and returns its logs."""
        results = self._executable.execute_sharded([*batch, *self.variables])
        arrays = [a[0] for a in results.disassemble_into_single_device_arrays()]
        for argument, result in self._written:
            self.variables[argument - len(batch)] = arrays[result]
        return dict(zip(self._logs, arrays, strict=False))

    def seconds(self, batch):
        """How long STEPS steps take, after a few others."""
        for count in (WARM_UP, STEPS):
            started = time.perf_counter()
            for _ in range(count):
                logs = self(batch)
            logs["loss"].block_until_ready()
        return time.perf_counter() - started


def evaluate(folder):
    """Prints the accuracy of what `run` has trained, beside the same training by TensorFlow."""
    import tempfile

    import tensorflow as tf

    from mentormix_tf import methods
    from mentormix_tf.config import OutputConfig
    from mentormix_tf.training import run as training

    print("| method | trained by JAX | trained by TensorFlow |\n|---|---|---|")
    for method in methods.METHODS:
        setup = training.Setup(_config(method), tf.distribute.get_strategy())
        variables = _step(setup.model, setup.train_batches(0).element_spec)[2]
        trained = np.load(pathlib.Path(folder) / f"{method}-trained.npz")
        for i, variable in enumerate(variables):
            variable.assign(trained[f"{i:04}"])
        row, _ = setup.evaluation().row()
        with tempfile.TemporaryDirectory() as model_dir:
            result = training.run(_config(method), OutputConfig(model_dir=f"{model_dir}/run"))
        accuracies = f"{row['test_accuracy']:.3f} | {result['final_accuracy']:.3f}"
        print(f"| {method} | {accuracies} |", flush=True)


if __name__ == "__main__":
    what, where = sys.argv[1:]
    {"export": export, "run": run, "evaluate": evaluate}[what](where)

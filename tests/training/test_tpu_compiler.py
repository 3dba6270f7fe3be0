"""Compiling the train step with XLA and the TPU compiler; nothing here needs a TPU."""

import json
import os
import pathlib
import re
import subprocess
import sys

import keras
import pytest
import tensorflow as tf

from mentormix_tf import methods, networks
from mentormix_tf.config import RunConfig, TrainingConfig
from mentormix_tf.errors import InputError
from mentormix_tf.training import tpu_compiler
from mentormix_tf.training.model import build_model, build_network
from tests.support import commands

ROOT = pathlib.Path(__file__).parent.parent.parent


def config(method, network="small_cnn", batch_size=16):
    return RunConfig(
        training=TrainingConfig(network=network, batch_size=batch_size),
        method=method,
        hyperparameters=methods.resolve(method, {}),
    )


def aot(*flags, cwd):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "mentormix_tf.aot_compile", *flags],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
    )


QUICK = ("mentormix", "data_parameters", "o2u")


@pytest.mark.parametrize(
    "method",
    [pytest.param(m, marks=[] if m in QUICK else pytest.mark.slow) for m in methods.METHODS],
)
def test_every_method_lowers(method):
    # No memory holds so many images: the test fails if the step is executed.
    text = tpu_compiler.lower(config(method, batch_size=10_000_000), (8, 8, 1), 10, 100)
    assert "tensor<10000000x8x8x1xf32>" in text
    # A forward and backward pass has three convolutions a layer, but none to the images' gradient.
    assert text.count("stablehlo.convolution") >= 4 + 4 + 3
    dialects = set(re.findall(r"= \"?(\w+)\.\w+", text))
    assert dialects <= {"stablehlo", "chlo", "func"}, dialects


def small_model():
    network = build_network(config("mentormix"), (8, 8, 1), 10)
    return build_model(config("mentormix"), network, 100)


def test_the_step_writes_what_training_changes():
    """Weights, momenta, BatchNorm, γ, metrics and counters are updated in place."""
    model = small_model()
    text = tpu_compiler.lower(config("mentormix"), (8, 8, 1), 10, 100)
    trained = len(model.trainable_variables)
    moving = len([v for v in model.network.non_trainable_variables if "moving" in v.name])
    gamma, metrics, counters = 1, 10 * 2, 2
    written = text.count("may_alias")
    assert written == 2 * trained + moving + gamma + metrics + counters


def test_arguments_come_by_name_and_then_the_variables():
    weight = tf.Variable([2.0, 3.0])
    function = tf.function(lambda **columns: weight.assign_add(columns["b"]) - columns["a"])
    spec = {"b": tf.TensorSpec([2], tf.float32), "a": tf.TensorSpec([2, 2], tf.float32)}
    text = tpu_compiler.stablehlo(function, spec)
    signature = re.search(r"@main\((.*?)\) -> \((.*?)\) {", text)
    assert signature is not None
    arguments, results = (re.findall(r"tensor<(\w+)>", part) for part in signature.groups())
    assert arguments == ["2x2xf32", "2xf32", "2xf32"] and results == ["2x2xf32", "2xf32"]
    assert re.findall(
        r"parameter_number = (\d+)[^}]*}, output_index = array<i64: (\d+)>", text
    ) == [("2", "1")]


def test_what_xla_lacks_is_named(monkeypatch):
    class Gamma(keras.layers.Layer):
        def call(self, inputs):
            return inputs + keras.random.gamma((1, 10), 1.0, seed=0)

    def network(image_shape, num_classes):
        layers = keras.layers
        return keras.Sequential(
            [layers.Input(image_shape), layers.Flatten(), layers.Dense(10), Gamma()]
        )

    monkeypatch.setitem(networks.NETWORKS, "gamma", network)
    with pytest.raises(InputError, match="network=gamma with method=vanilla uses StatelessRandomG"):
        tpu_compiler.lower(config("vanilla", "gamma"), (8, 8, 1), 10, 100)


def test_refusal_names_the_size():
    message = (
        "RESOURCE_EXHAUSTED: E1000: CompileTimeHbmOom: Ran out of memory on HBM, the total memory "
        "required for HLO temporaries (62.97G) exceeds available HBM (15.75G). HLO module: a.1.\n"
        "See the page."
    )
    compiled = tpu_compiler._refused(message, 16 * 2**30, 4.0)
    assert not compiled.fits and compiled.memory == {"total": round(62.97 * 2**30)}
    assert compiled.refusal.startswith("Ran out of memory")
    assert "HLO module" not in compiled.refusal


@pytest.mark.slow
def test_mistakes_get_one_sentence(tmp_path):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "aot.json").write_text("precious")
    mistakes = {
        "--image_size=0": "image_size=0 must be at least 1",
        "--output=used": "output=used holds another aot.json",
    }
    ended = commands.run(*(["aot_compile", flag] for flag in mistakes), cwd=tmp_path)
    for message, (status, _, errors) in zip(mistakes.values(), ended, strict=True):
        assert status == 1 and message in errors and "Traceback" not in errors
    assert (tmp_path / "used" / "aot.json").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["used"]


def test_without_jax_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "libtpu", None)
    message = r"libtpu, which .* is not installed: pip install 'mentormix-tf\[aot\]'"
    with pytest.raises(InputError, match=message):
        tpu_compiler.core("v5e:2x2")


# These need the extra [aot], a download of 220 MB that most test runs skip.


def test_compiles_for_a_tpu(tmp_path):
    pytest.importorskip("libtpu")
    done = aot("--image_size=8", "--channels=1", "--batch_size=64", "--output=aot", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "aot" / "aot.json").read_text())
    assert result["fits"] and result["hbm"] == 16 * 2**30 and "fits" in done.stdout
    # A forward pass for losses, then one with its backward pass, which takes three times as much,
    # less the gradient of the images.
    model = small_model()
    forward = 64 * forward_flops(model.network)
    assert 3.0 * forward < result["flops"] < 4.0 * forward
    memory = result["memory"]
    weights = 4 * model.network.count_params()
    assert 2 * weights < memory["in_place"] <= memory["outputs"] <= memory["arguments"]
    parts = sum(memory[name] for name in ("arguments", "outputs", "temporaries", "code"))
    assert memory["total"] == parts - memory["in_place"]
    assert "stablehlo.convolution" in (tmp_path / "aot" / "step.mlir").read_text()


def test_does_not_fit(tmp_path):
    pytest.importorskip("libtpu")
    flags = ["--network=wide_resnet_28_10", "--batch_size=8192", "--output=aot"]
    done = aot(*flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "does not fit: a core has 16 GiB; Ran out of memory" in done.stdout
    result = json.loads((tmp_path / "aot" / "aot.json").read_text())
    assert not result["fits"] and result["memory"]["total"] > result["hbm"]


def test_what_the_tpu_compiler_lacks():
    pytest.importorskip("libtpu")
    text = """func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      %y = stablehlo.custom_call @only_on_gpus(%x) : (tensor<4xf32>) -> tensor<4xf32>
      return %y : tensor<4xf32>
    }"""
    with pytest.raises(InputError, match=r"v5e:2x2: the TPU compiler can't .*only_on_gpus"):
        tpu_compiler.compile_step(text, "v5e:2x2")


@pytest.mark.parametrize("topology", ["v5e", "v9:2x2", "v5e:0x2", "v5e:3x5"])
def test_unknown_topology(topology):
    pytest.importorskip("libtpu")
    with pytest.raises(InputError, match=f"topology={topology} is unknown to libtpu .*v6e:2x2"):
        tpu_compiler.core(topology)


def test_cores_and_their_memory():
    pytest.importorskip("libtpu")
    gib = {
        name: tpu_compiler.core(name)[1] / 2**30 for name in ("v4:2x2x1", "v5p:2x2x1", "v6e:2x2")
    }
    assert gib == {"v4:2x2x1": 16, "v5p:2x2x1": 95, "v6e:2x2": 32}  # v4 has two to a chip


def forward_flops(network):
    """Operations of a forward pass of one image: twice the multiply-additions of its kernels."""
    total = 0
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.Conv2D):
            total += (
                layer.kernel.shape.num_elements() * layer.output.shape[1] * layer.output.shape[2]
            )
        elif isinstance(layer, keras.layers.Dense):
            total += layer.kernel.shape.num_elements()
    return 2 * total

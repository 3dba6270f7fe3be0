"""The Python code of README.md, docs/ and examples/ runs as shown."""

import collections
import functools
import pathlib
import re
import runpy
import shutil
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import networks
from tests.support.picture_files import encode

ROOT = pathlib.Path(__file__).parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
CODE = {
    f"{path.relative_to(ROOT)}": blocks
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if (blocks := BLOCK.findall(path.read_text()))
}


def reader_of_readme(request, monkeypatch):
    """Has images and labels, some of them wrong; a run; and a photo to classify."""
    monkeypatch.setenv("HOME", str(pathlib.Path.cwd()))  # where data sets are prepared
    run = request.getfixturevalue("digits_run")
    shutil.copytree(run.path, "runs/x")
    pathlib.Path("photos").mkdir()
    pathlib.Path("photos/digit.jpg").write_bytes(encode(run.images[0], "jpeg"))
    return reader_with_arrays(request, monkeypatch)


def reader_with_arrays(request, monkeypatch):
    """Has images and labels, some of them wrong."""
    random = np.random.RandomState(0)
    images = random.normal(size=(64, 8, 8, 1)).astype(np.float32)
    names = ("noisy_labels", "labels", "test_labels")
    return {
        **dict.fromkeys(("images", "clean_images", "test_images"), images),
        **{name: random.randint(10, size=64) for name in names},
    }


def reader_of_audit(request, monkeypatch):
    """Has images and labels, some of them wrong, and a network."""
    layers = [keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten()]
    names = reader_with_arrays(request, monkeypatch)
    network = keras.Sequential([keras.layers.Input((8, 8, 1)), *layers, keras.layers.Dense(10)])
    return {**names, "labels": names["noisy_labels"], "network": network}


def reader_of_datasets(request, monkeypatch):
    """Has prepared a noisy split."""
    return {"path": request.getfixturevalue("digits").builder.data_dir}


def reader_of_distributed(request, monkeypatch):
    """Has a network and a data set."""
    data = reader_with_arrays(request, monkeypatch)
    return {
        "build_network": lambda: keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)]),
        "dataset": tf.data.Dataset.from_tensors((data["images"], data["labels"])),
    }


def reader_of_networks(request, monkeypatch):
    """Is offline: ImageNet's weights are not downloaded."""
    resnet50 = networks.APPLICATIONS["resnet50"]

    @functools.wraps(resnet50)
    def with_random_weights(weights, **options):
        assert weights == "imagenet"
        return resnet50(weights=None, **options)

    monkeypatch.setitem(networks.APPLICATIONS, "resnet50", with_random_weights)
    return {}


def reader_of_serving(request, monkeypatch):
    """Serves a run on digits, and has one to classify; TensorFlow Serving itself is a stand-in."""
    run = request.getfixturevalue("digits_run")
    classify = tf.saved_model.load(str(run.export)).signatures["serving_default"]
    pathlib.Path("digit.png").write_bytes(encode(run.images[0]))

    class PredictRequest:
        def __init__(self):
            self.model_spec = types.SimpleNamespace()
            self.inputs = collections.defaultdict(type(tf.make_tensor_proto(0)))

    class PredictionServiceStub:
        def __init__(self, channel):
            pass

        def Predict(self, request, timeout):
            assert vars(request.model_spec) == {
                "name": "digits",
                "signature_name": "serving_default",
            }
            given = {k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()}
            found = {k: tf.make_tensor_proto(v) for k, v in classify(**given).items()}
            return types.SimpleNamespace(outputs=found)

    apis = types.ModuleType("tensorflow_serving.apis")
    apis.predict_pb2 = types.SimpleNamespace(PredictRequest=PredictRequest)
    apis.prediction_service_pb2_grpc = types.SimpleNamespace(
        PredictionServiceStub=PredictionServiceStub
    )
    monkeypatch.setitem(sys.modules, "tensorflow_serving", types.ModuleType("tensorflow_serving"))
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", apis)
    return {}


READERS = {
    "README.md": reader_of_readme,
    "docs/audit.md": reader_of_audit,
    "docs/datasets.md": reader_of_datasets,
    "docs/distributed.md": reader_of_distributed,
    "docs/networks.md": reader_of_networks,
    "docs/serving.md": reader_of_serving,
}


@pytest.mark.parametrize("document", CODE)
def test_documents(document, request, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    reader = READERS.get(document)
    names = reader(request, monkeypatch) if reader else {}
    names["__name__"] = document
    for number, block in enumerate(CODE[document], start=1):
        exec(compile(block, f"{document}, block {number}", "exec"), names)


@pytest.mark.slow
def test_example_fit(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(ROOT / "examples" / "fit.py"))
    accuracy = capsys.readouterr().out.split("accuracy on clean test labels: ")[1]
    assert float(accuracy) > 0.8
    assert keras.saving.load_model("network.keras").output_shape == (None, 10)


def test_all_examples_are_run():
    elsewhere = {"serve_locally.py"}  # by tests/serving/test_rest.py
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == {"fit.py", *elsewhere}

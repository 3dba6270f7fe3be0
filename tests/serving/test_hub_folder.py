"""The folder for the Hugging Face Hub: its metadata, and its card's own code on its files."""

import dataclasses
import json
import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml

from mentormix_tf import InputError
from mentormix_tf.runs.saved_run import TrainedNetwork
from mentormix_tf.serving import hub_folder
from tests.support import commands
from tests.support.picture_files import encode


@pytest.fixture(scope="module")
def written(digits_run, tmp_path_factory):
    """The folder of a run on digits whose averaged weights had an accuracy of 0.125."""
    path = tmp_path_factory.mktemp("hub") / "digits-on-noisy-labels"
    made = digits_run
    return hub_folder.write(made.run, made.trained, made.export, str(path), "Apache-2.0")


def parts(folder):
    """The metadata and the Markdown of a card."""
    empty, metadata, card = (folder / "README.md").read_text().split("---\n", maxsplit=2)
    assert empty == ""
    return yaml.safe_load(metadata), card


def blocks(card):
    return re.findall(r"^```python\n(.*?)^```", card, re.DOTALL | re.MULTILINE)


def test_what_is_in_it(written, digits_run):
    assert {path.name for path in written.iterdir()} == {
        *("README.md", "config.json", "metadata.json", "model.weights.h5"),
        *("class_names.txt", "flags.txt", "saved_model"),
    }
    assert (written / "class_names.txt").read_text().split() == digits_run.run.class_names
    export = pathlib.Path(digits_run.export)
    assert len(list(export.rglob("*"))) > 8
    for file in export.rglob("*"):
        copy = written / "saved_model" / file.relative_to(export)
        if file.is_file() and file.name != "model_card.md":
            assert copy.read_bytes() == file.read_bytes()
    assert [path.name for path in written.parent.iterdir()] == [written.name]


def test_metadata(written):
    metadata, card = parts(written)
    assert metadata == {
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "noisy-labels", "label-noise", "mentormix"],
        "license": "apache-2.0",
        "metrics": ["accuracy"],
        "model-index": [
            {
                "name": "digits-on-noisy-labels",
                "results": [
                    {
                        "task": {"type": "image-classification"},
                        "dataset": {
                            "type": "digits",
                            "name": "digits, test split "
                            "(training labels: symmetric, level 0.4, seed 0)",
                            "split": "test",
                        },
                        "metrics": [
                            {
                                "type": "accuracy",
                                "value": 0.125,
                                "name": "Accuracy on clean test labels",
                            }
                        ],
                    }
                ],
            }
        ],
    }
    assert card.startswith("\n# mentormix on digits\n")
    assert "Test accuracy (clean labels): 0.1250" in card


def test_the_hub_understands_it(written):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    data = huggingface_hub.ModelCard.load(written / "README.md").data
    (result,) = data.eval_results
    assert (data.library_name, data.pipeline_tag) == ("keras", "image-classification")
    assert (data.license, data.model_name) == ("apache-2.0", "digits-on-noisy-labels")
    assert (result.metric_type, result.metric_value) == ("accuracy", 0.125)
    assert (result.dataset_type, result.dataset_split) == ("digits", "test")


def test_the_code_of_the_card(written, digits_run, tmp_path, monkeypatch, capsys):
    """The card's code, run on the folder instead of a download of it."""
    huggingface_hub = pytest.importorskip("huggingface_hub")

    def download(repo_id, **_):
        assert repo_id == "USER/NAME"
        return str(written)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.chdir(tmp_path)
    pathlib.Path("photo.jpg").write_bytes(encode(digits_run.images[0]))
    files, network = blocks(parts(written)[1])
    exec(files, {})
    logits = digits_run.trained.network(digits_run.images[:1])
    scores = np.sort(tf.nn.softmax(logits).numpy()[0])[::-1]
    order = np.argsort(-logits.numpy()[0])
    names = digits_run.run.class_names
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _ in printed] == [names[i] for i in order[:5]]
    assert [float(score) for _, score in printed] == pytest.approx(scores[:5].tolist(), abs=6e-4)
    found = {}
    exec(network, found)
    assert found["logits"].shape == (1, 10) and found["images"].shape == (1, 8, 8, 1)
    np.testing.assert_allclose(found["network"](digits_run.images[:1]), logits, atol=1e-5)


def changed(made, dataset="digits", **measured):
    """A run with another data set's name, and its network with other accuracies."""
    config = made.run.config
    data = dataclasses.replace(config.data, dataset=dataset)
    run = dataclasses.replace(made.run, config=dataclasses.replace(config, data=data))
    trained = made.trained
    return run, TrainedNetwork(trained.network, trained.weights, trained.step, measured)


@pytest.mark.parametrize(
    ("license", "expected"),
    [
        ("", {}),
        ("MIT", {"license": "mit"}),
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        ("Our own: v2\n---\nx", {"license": "other", "license_name": "our-own-v2-x"}),
    ],
)
def test_licenses(digits_run, tmp_path, license, expected):
    run, trained = changed(digits_run)
    path = hub_folder.write(run, trained, digits_run.export, str(tmp_path / "hub"), license)
    metadata, card = parts(path)
    assert {name: metadata[name] for name in metadata if "license" in name} == expected
    assert "model-index" not in metadata and "not measured at this step" in card
    assert ("Not stated. Ask the authors" in card) == (not license)


def test_names_from_elsewhere(digits_run, tmp_path):
    """Neither folders of this machine nor what Markdown or YAML would read as markup is shown."""
    run, trained = changed(digits_run, "folder:/home/me/a: [b] <i>", averaged_test_accuracy="0.5")
    path = hub_folder.write(run, trained, digits_run.export, str(tmp_path / "hub: x"))
    metadata, card = parts(path)
    (index,) = metadata["model-index"]
    assert index["name"] == "hub: x"
    assert index["results"][0]["dataset"]["type"] == "folder:a: [b] <i>"
    assert "/home/me" not in (path / "README.md").read_text()
    assert r"folder:a: \[b\] &lt;i&gt;" in card and "<i>" not in card
    run, trained = changed(digits_run, "cifar10", averaged_test_accuracy="0.5")
    metadata, _ = parts(hub_folder.write(run, trained, digits_run.export, str(tmp_path / "c")))
    assert metadata["datasets"] == ["uoft-cs/cifar10"]
    assert metadata["model-index"][0]["results"][0]["dataset"]["type"] == "uoft-cs/cifar10"


def test_an_empty_folder_is_used_and_another_is_kept(digits_run, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    given = (digits_run.run, digits_run.trained, digits_run.export)
    assert (hub_folder.write(*given, str(tmp_path / "empty")) / "README.md").exists()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hub_folder, "_copy", fail)
    with pytest.raises(InputError, match=r"hub_folder=.* can't be written: No space left"):
        hub_folder.write(*given, str(tmp_path / "new"))
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_the_command(digits_run, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("precious")
    export = ["export", f"--model_dir={digits_run.path}", "--export_dir=served"]
    mistakes = {
        "taken": "hub_folder=taken must be a new or an empty folder: name another.",
        "taken/mine": "hub_folder=taken/mine must be a new or an empty folder: name another.",
        "there/new": "hub_folder=there/new can't be made: there is not a folder.",
        "gs://bucket/new": "hub_folder=gs://bucket/new must be a local folder.",
    }
    *refused, done = commands.run(
        *([*export, f"--hub_folder={path}"] for path in (*mistakes, "hub")), cwd=tmp_path
    )
    for (status, _, errors), message in zip(refused, mistakes.values(), strict=True):
        assert status == 1 and errors == f"error: {message}\n"
    status, output, errors = done
    assert status == 0, errors
    assert "hf upload USER/NAME hub" in output
    assert [path.name for path in (tmp_path / "served").iterdir()] == ["1"]
    assert (tmp_path / "taken" / "mine").read_text() == "precious"
    assert json.loads((tmp_path / "hub" / "metadata.json").read_text())["keras_version"]
    assert keras.saving.load_model(tmp_path / "hub").output_shape == (None, 10)

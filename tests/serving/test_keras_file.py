"""A run's network as a Keras file, and runs that start from it."""

import keras
import numpy as np
import pytest

import mentormix_tf as mm
from mentormix_tf.errors import InputError
from mentormix_tf.runs.saved_run import TrainedNetwork
from mentormix_tf.serving import keras_file
from tests.support import commands


def small():
    network = mm.networks.build("small_cnn", (8, 8, 1), 10)
    return TrainedNetwork(network, "last", 1, {})


@pytest.mark.slow
def test_two_phases(tmp_path):
    """A head that was trained first goes on with all layers, from where it was."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    stack = [layers.Input((8, 8, 3)), layers.Rescaling(1 / 16)]
    stack += [layers.Conv2D(8, 3, name="_conv"), layers.BatchNormalization(name="-bn")]
    keras.Sequential([*stack, layers.ReLU(), layers.Flatten()]).save(tmp_path / "my.keras")
    short = ("--train_steps=40", "--eval_every=20", "--learning_rate=0.02", "--data_dir=data")
    done = commands.run(
        ("train", "--network=my.keras", "--train_layers=head", *short, "--model_dir=head"),
        ("export", "--model_dir=head", "--keras_file=head.keras"),
        ("train", "--network=head.keras", *short, "--backbone_learning_rate=1e-9",
         "--model_dir=all"),
        ("export", "--model_dir=head", "--keras_file=head.keras"),
        ("export", "--model_dir=head", "--keras_file=head.h5"),
        ("export", "--model_dir=head", "--keras_file=there/head.keras"),
        cwd=tmp_path,
    )  # fmt: skip
    assert [status for status, *_ in done[:3]] == [0] * 3, done
    assert "Keras file: head.keras" in done[1][1]
    assert "288 features, its own layer of 10 classes" in done[2][1] + done[2][2]
    head, whole = (mm.open_run(tmp_path / name) for name in ("head", "all"))
    first = keras.models.load_model(tmp_path / "head.keras")
    images = np.random.RandomState(0).uniform(0, 16, (5, 8, 8, 1)).astype(np.float32)
    np.testing.assert_allclose(first(images), head.network()(images), atol=1e-6)
    assert whole.result["final_accuracy"] > head.result["final_accuracy"] - 0.02
    for (status, _, errors), words in zip(
        done[3:], ["exists: name a new file", "ends with .keras", "there is not a folder"],
        strict=True,
    ):  # fmt: skip
        assert status in (1, 2) and words in errors and "Traceback" not in errors, errors
    assert len(list((tmp_path / "head" / "export").iterdir())) == 1  # refused before exporting


def test_a_file_that_appears_meanwhile_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "a.keras"
    monkeypatch.setattr(keras_file, "check", lambda name: path.write_text("mine"))
    with pytest.raises(InputError, match=r"a.keras can't be written: File exists"):
        keras_file.write(small(), str(path))
    assert path.read_text() == "mine" and [each.name for each in tmp_path.iterdir()] == ["a.keras"]

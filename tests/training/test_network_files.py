"""Runs that start from a network in a file: commands, resuming, and the file that is gone."""

import json
import shutil

import keras
import numpy as np
import pytest

import mentormix_tf as mm
from tests.support import commands

FLAGS = (
    *("--network=my.keras", "--train_layers=1", "--backbone_learning_rate=0.02", "--audit"),
    *("--schedule=constant", "--eval_every=5", "--gamma_p=0.6", "--data_dir=data"),
)


pytestmark = pytest.mark.slow  # fifteen commands


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a file, and what commands printed that trained from it and then without it."""
    folder = tmp_path_factory.mktemp("files")
    keras.utils.set_random_seed(1)
    layers = keras.layers
    stack = [layers.Input((8, 8, 1)), layers.Rescaling(1 / 16)]
    stack += [layers.Conv2D(8, 3, name="block1_conv"), layers.BatchNormalization(name="block1_bn")]
    stack += [layers.ReLU(), layers.Conv2D(8, 3, name="block2_conv"), layers.Flatten()]
    keras.Sequential([*stack, layers.Dense(5, activation="softmax")]).save(folder / "my.keras")
    shutil.copy(folder / "my.keras", folder / "another.keras")
    trained = commands.run(
        ("train", *FLAGS, "--train_steps=10", "--model_dir=whole"),
        ("train", *FLAGS, "--train_steps=5", "--model_dir=parts"),
        ("train", *FLAGS, "--train_steps=10", "--model_dir=parts"),
        ("train", *FLAGS, "--train_steps=5", "--model_dir=bfloat16", "--precision=bfloat16"),
        ("train", *FLAGS[:1], *FLAGS[3:], "--train_steps=5", "--freeze_batch_norm",
         "--model_dir=norm"),
        cwd=folder,
    )  # fmt: skip
    (folder / "my.keras").unlink()
    after = commands.run(
        ("evaluate", "--model_dir=whole", "--data_dir=data"),
        ("audit", "--model_dir=whole", "--features=penultimate"),
        ("export", "--model_dir=whole"),
        ("evaluate", "--model_dir=bfloat16", "--data_dir=data"),
        ("train", *FLAGS, "--train_steps=15", "--model_dir=whole"),
        ("train", "--network=another.keras", "--preprocessing=2", "--model_dir=other"),
        ("train", "--network=another.keras", "--train_layers=some", "--model_dir=other"),
        ("train", "--network=another.keras", "--train_layers=7", "--model_dir=other"),
        ("train", "--network=another.keras", "--train_layers=head",
         "--backbone_learning_rate=0.1", "--model_dir=other"),
        ("train", "--network=another.keras", "--dataset=digits", "--image_size=4",
         "--model_dir=other"),
        cwd=folder,
    )  # fmt: skip
    return folder, trained, after


def weights(run):
    return mm.open_run(run).network().get_weights()


def test_training_says_what_it_starts_from(folder):
    _, trained, _ = folder
    assert [status for status, *_ in trained] == [0] * 5, trained
    assert (
        "Network: my.keras on pixels from 0 to 255, 128 features, a new layer of 10 classes"
        in trained[0][1] + trained[0][2]
    )


def test_layers_before_the_last_block_keep_their_weights(folder):
    path, *_ = folder
    original = keras.models.load_model(path / "another.keras").get_weights()
    found = weights(path / "whole")
    is_same = [np.array_equal(*pair) for pair in zip(original[:-2], found[:-2], strict=True)]
    assert is_same == [True] * 6 + [False] * 2  # a convolution and a BatchNorm, a convolution


def test_frozen_batch_norm_keeps_its_values(folder):
    path, *_ = folder
    original = keras.models.load_model(path / "another.keras").get_weights()
    found = weights(path / "norm")
    is_same = [np.array_equal(*pair) for pair in zip(original[:-2], found[:-2], strict=True)]
    assert is_same == [False] * 2 + [True] * 4 + [False] * 2


def test_a_run_in_parts_ends_as_the_whole(folder):
    path, *_ = folder
    for pair in zip(weights(path / "whole"), weights(path / "parts"), strict=True):
        np.testing.assert_array_equal(*pair)


def test_the_file_is_needed_to_train_alone(folder):
    path, _, after = folder
    assert [status for status, *_ in after[:4]] == [0] * 4, after
    evaluation = next(path.glob("whole/evaluation/*/evaluation.json"))
    result = json.loads((path / "whole" / "result.json").read_text())
    assert json.loads(evaluation.read_text())["accuracy"] == pytest.approx(result["final_accuracy"])
    assert (path / "whole" / "audit" / "audit.html").exists()
    card = next(path.glob("whole/export/*/assets/model_card.md")).read_text()
    assert "- Network: my.keras, of which the last layer and the block before it trained" in card


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (4, "network=my.keras does not exist: name a file that Keras has saved."),
        (5, "preprocessing=2 "),
        (6, "train_layers=some must be all, head or a number of blocks."),
        (7, "train_layers=7: the network another has 2 blocks before its head"),
        (8, "has no layers to train with train_layers=head"),
        (9, "network=another.keras takes images of 8x8 pixels, not of 4x4: use --image_size=8."),
    ],
)
def test_what_is_refused(folder, number, message):
    status, _, errors = folder[2][number]
    assert status in (1, 2) and message in errors, errors
    assert "Traceback" not in errors and errors.strip().splitlines()[-1].startswith("error: ")

"""The commands as a user starts them, each in its own process."""

import csv
import io
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.support import commands
from tests.support.picture_files import encode

# Commands and their errors; {run} stands for a run's folder.
MISTAKES = [
    (["evaluate"], "Name either a run, like --model_dir=runs/..., or a --saved_model."),
    (["evaluate", "{run}", "--dataset=fashion_mnist", "--noise=blue"], "noise=blue is unknown"),
    (["evaluate", "{run}", "--output_dir=taken"], "output_dir=taken can't be written"),
    (
        ["evaluate", "{run}", "--split=train", "--output_dir=exported"],
        "output_dir=exported holds another evaluation.json: name a new folder, or move that one",
    ),
    (["predict", "x.png"], "model_dir is missing: name a run's folder"),
    (["predict", "{run}"], "No image is named: give files, folders or patterns"),
    (["predict", "{run}", "x.png", "--top_k=11"], "top_k=11 must be at most 10"),
    (["predict", "{run}", "x.png", "--output=taken"], "output=taken exists: name a new file"),
    (["export", "{run}", "more"], "more is not a flag: flags start with --, see --help."),
    (["export", "{run}", "--export_dir=taken"], "export_dir=taken can't be written"),
]


@pytest.fixture(scope="module")
def outcomes(digits_run, data_dir, tmp_path_factory):
    """The folder of the commands, the output of the good ones, and how each bad one ended."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / "taken").write_text("precious")
    (folder / "digits").mkdir()
    for i, image in enumerate(np.array(digits_run.images[:70])):
        (folder / "digits" / f"{i:02d}.png").write_bytes(encode(image))
    (folder / "notes.txt").write_text("hello")
    run, drawn = "--model_dir=run", [f"--model_dir={digits_run.path}", "--weights=last"]
    good = {
        "train": [
            *("train", run, f"--data_dir={data_dir}", "--train_steps=40", "--eval_every=40"),
            *("--ema_decay=0.9", "--validation_fraction=0.1"),
        ],
        "export": ["export", run, "--export_dir=served"],
        "evaluate": ["evaluate", run],
        "evaluate the export": ["evaluate", "--saved_model=served/1", "--output_dir=exported"],
        "evaluate again": ["evaluate", run],
        "predict": ["predict", *drawn, "notes.txt", "digits", "--top_k=2"],
        "predict to a file": [
            *("predict", *drawn, "digits", "notes.txt"),
            *("--format=jsonl", "--top_k=3", "--output=found.jsonl"),
        ],
    }
    bad = [[run if word == "{run}" else word for word in command] for command, _ in MISTAKES]
    done = commands.run(*good.values(), *bad, cwd=folder)
    printed = {}
    for name, (status, output, errors) in zip(good, done, strict=False):
        assert status == 0, errors
        printed[name] = output, errors
    return folder, printed, done[len(good) :]


def test_an_export_is_evaluated_as_its_run(outcomes):
    cwd, printed, _ = outcomes
    assert printed["export"][0].startswith("Exported the averaged weights of step 40 to served/1/")
    table = printed["evaluate"][0]
    assert printed["evaluate again"][0] == table
    [folder] = (cwd / "run" / "evaluation").iterdir()
    assert folder.name == "digits-symmetric-0.4-seed0-val0.1-test-averaged-step40"
    report = json.loads((folder / "evaluation.json").read_text())
    exported = json.loads((cwd / "exported" / "evaluation.json").read_text())
    same = ("num_examples", "accuracy", "top_5_accuracy", "class_accuracies", "class_counts")
    assert {name: report[name] for name in same} == {name: exported[name] for name in same}
    assert report["num_examples"] == 360 and report["weights"] == "averaged"
    trained = json.loads((cwd / "run" / "result.json").read_text())
    assert report["accuracy"] == pytest.approx(trained["averaged_final_accuracy"], abs=1e-6)
    assert report["accuracy"] > 0.5
    for name in ("accuracy", "top_5_accuracy", "expected_calibration_error"):
        assert f"  {report[name]:.4f}\n" in table
    with (folder / "confusion_matrix.csv").open() as file:
        header, *rows = csv.reader(file)
    matrix = np.array([row[1:] for row in rows], int)
    assert header[1:] == [row[0] for row in rows] == [str(i) for i in range(10)]
    assert matrix.sum() == 360 and matrix.trace() == round(360 * report["accuracy"])
    Image.open(folder / "confusion_matrix.png").verify()


def test_predictions_of_a_folder(digits_run, outcomes):
    cwd, printed, _ = outcomes
    table, errors = printed["predict"]
    assert errors.endswith("1 of 71 images could not be classified.\n")
    assert printed["predict to a file"][0] == ""
    first, *rows = csv.DictReader(io.StringIO(table))
    assert first["image"] == "notes.txt" and first["reason"] == "not an image that can be read"
    columns = ["image", "class", "probability", "class_2", "probability_2", "reason"]
    assert list(first) == columns
    expected = digits_run.model.predict(digits_run.images[:70], verbose=0)
    assert [int(row["class"]) for row in rows] == expected.argmax(axis=1).tolist()
    found = [json.loads(line) for line in (cwd / "found.jsonl").read_text().splitlines()]
    assert [row["image"] for row in found[:2]] == ["digits/00.png", "digits/01.png"]
    assert found[-1] == {"image": "notes.txt", "reason": "not an image that can be read"}
    for row, line in zip(rows, found[:-1], strict=True):
        assert line["class"] == row["class"] and len(line["top"]) == 3
        assert f"{line['probability']:.6f}" == row["probability"]


def test_mistakes_get_one_sentence(outcomes):
    cwd, _, done = outcomes
    for (status, _, errors), (_, message) in zip(done, MISTAKES, strict=True):
        assert status == 1, message
        assert f"error: {message}" in errors and "Traceback" not in errors
    assert {path.name for path in cwd.iterdir()} == {
        *("taken", "digits", "notes.txt", "run", "served", "exported", "found.jsonl"),
    }
    assert (cwd / "taken").read_text() == "precious"


@pytest.mark.slow
def test_saved_model_cli_as_documented(digits_run, tmp_path):
    (tmp_path / "digit.png").write_bytes(encode(digits_run.images[0]))
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "digits").symlink_to(digits_run.export.parent)
    text = (commands.ROOT / "docs" / "serving.md").read_text()
    lines = text.replace("\\\n", "").splitlines()
    [save] = [line for line in lines if "numpy.save" in line]
    [show, call] = [line for line in lines if line.strip().startswith("saved_model_cli")]
    path = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def bash(command):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    shown = bash(show)
    assert "signature_def['serving_default']" in shown and "signature_def['arrays']" in shown
    with digits_run.model.averaged():
        expected = np.argmax(digits_run.model.predict(digits_run.images[:1], verbose=0))
    assert f"output key classes:\n[b'{expected}']" in bash(f"{save} && {call}")

"""The audit command, and what it writes."""

import csv
import importlib
import itertools
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pandas
import pytest

import mentormix_tf as mm
from mentormix_tf import InputError, files
from mentormix_tf.data import noise, splits
from mentormix_tf.runs import saved_run
from tests.reports.test_audit_page import Reader
from tests.support import commands, picture_files

ROOT = pathlib.Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data_dir):
    """The folder of a run of few steps that recorded its examples."""
    folder = tmp_path_factory.mktemp("audited") / "run"
    flags = [f"--data_dir={data_dir}", f"--model_dir={folder}", "--audit", "--gamma_p=auto"]
    command = [sys.executable, "-m", "mentormix_tf.train", *flags, "--train_steps=120"]
    command.append("--eval_every=120")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def run(*flags):
    command = [sys.executable, "-m", "mentormix_tf.audit", *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_command(trained):
    done = run(f"--model_dir={trained}", "--top=40")
    assert done.returncode == 0, done.stderr
    assert "1,437 labels, of which about" in done.stdout and "Confused: " in done.stdout
    assert f"More in {trained}/audit/" in done.stdout
    folder = trained / "audit"
    names = {"audit.csv", "audit.html", "audit.json", "transition_matrix.csv"}
    assert {path.name for path in folder.iterdir()} == names
    matrix = noise.read_matrix(folder / "transition_matrix.csv", 10)
    assert 0.4 < np.trace(matrix) / 10 < 0.8  # truly 0.6

    table = pandas.read_csv(folder / "audit.csv")
    assert len(table) == 1437 and table["id"].is_unique
    assert table["label_quality"].between(0, 1).all()
    assert table["is_label_issue"].dtype == bool
    assert (table["given_label"] != table["predicted_label"])[table["is_label_issue"]].all()
    for name in ("early_margin", "late_v", "early_agreement", "forgetting_events", "early_count"):
        assert table[name].notna().all(), name

    summary = json.loads((folder / "audit.json").read_text())
    assert summary["num_label_issues"] == table["is_label_issue"].sum()
    assert summary["noise_rate"] == pytest.approx(table["is_label_issue"].mean(), abs=0.05)
    assert summary["model_dir"] == str(trained) and summary["dataset"] == "digits"

    data = Reader((folder / "audit.html").read_text()).data()
    suspects = table.sort_values("label_quality", kind="stable")["id"].head(40)
    assert [card["id"] for card in data["cards"]] == suspects.tolist()
    assert all(card["image"] is not None for card in data["cards"])
    assert data["split_sha256"] == summary["split_sha256"]


def test_the_page_shows_similar_examples_where_there_are_features(trained, tmp_path):
    folder = mm.open_run(trained).audit("convolution").save(tmp_path / "audit", top=20)
    cards = Reader((folder / "audit.html").read_text()).data()["cards"]
    assert all(len(card["like_given"]) == len(card["like_suggested"]) == 4 for card in cards)


@pytest.mark.parametrize("written", [1, 2, 3])
def test_an_audit_that_was_killed_is_repeated(trained, tmp_path, monkeypatch, written):
    """Killed after some of its four files."""
    report, count, write = mm.open_run(trained).audit(), itertools.count(1), files.write

    def write_and_die(path, contents):
        write(path, contents)
        if next(count) == written:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(files, "write", write_and_die)
        with pytest.raises(KeyboardInterrupt):
            report.save(tmp_path / "audit", top=0)
    assert len(list((tmp_path / "audit").iterdir())) == written
    report.save(tmp_path / "audit", top=0)
    assert len(list((tmp_path / "audit").iterdir())) == 4


def test_an_audit_replaces_itself_alone(trained, tmp_path):
    report = mm.open_run(trained).audit()
    report.save(tmp_path, top=0)
    report.save(tmp_path, top=0)
    moved = tmp_path / "moved"
    shutil.copytree(trained, moved)
    for run in (trained, moved):
        mm.open_run(run).audit().save(top=0)
        mm.open_run(run).audit().save(top=0)
    with pytest.raises(InputError, match="holds another audit"):  # another run on the same labels
        mm.open_run(moved).audit().save(tmp_path, top=0)
    (tmp_path / "audit.json").write_text(json.dumps({"split_sha256": "0" * 64}))
    before = (tmp_path / "audit.csv").read_bytes()
    with pytest.raises(InputError, match=r"holds another audit\.csv: name a new folder"):
        report.save(tmp_path, top=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"output_dir=.* can't be written"):
        report.save(tmp_path / "file" / "below")
    assert (tmp_path / "audit.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "model_dir is missing"),
        (["--model_dir=nowhere"], "model_dir=nowhere does not exist"),
        (["--model_dir=x", "--top=-1"], "top=-1 must lie in [0, 100000]"),
        (["--model_dir=x", "--features=last"], "features=last must be one of auto, none"),
    ],
)
def test_what_is_refused(flags, message, capsys):
    assert importlib.import_module("mentormix_tf.audit").main(flags) in (1, 2)
    errors = capsys.readouterr().err
    assert errors.startswith("error: ") and message in errors and errors.count("\n") == 1


@pytest.mark.slow
def test_the_command_does_not_hide_the_function(trained):
    assert callable(mm.audit) and importlib.import_module("mentormix_tf.audit").main
    with pytest.raises(InputError, match="0 images and 0 labels"):
        mm.audit(mm.open_run(trained).network(), np.zeros((0, 8, 8, 1)), np.zeros(0, int))
    code = (
        "import mentormix_tf as mm; mm.audit; import mentormix_tf.audit; assert callable(mm.audit)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_story_of_a_folder(tmp_path, data_dir):
    """From mislabeled photos to a retrained network, by the commands of docs/audit.md."""
    random, photos = np.random.RandomState(0), tmp_path / "photos"
    mislabeled = set()
    for name, other, level in (("bright", "dark", 200), ("dark", "bright", 50)):
        for i in range(60):
            wrong = i % 10 == 0
            pixels = np.clip(random.normal(level, 20, size=(8, 8, 3)), 0, 255).astype(np.uint8)
            folder = photos / (other if wrong else name)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}-{i}.png").write_bytes(picture_files.encode(pixels))
            mislabeled |= {f"{folder.name}/{name}-{i}.png"} if wrong else set()
    data = [f"--dataset=folder:{photos}", f"--data_dir={data_dir}"]
    training = [
        "--gamma_p=auto",
        "--batch_size=32",
        "--image_size=8",
        "--train_steps=60",
        "--eval_every=60",
    ]
    first = [f"--model_dir={tmp_path}/first", "--audit", *data, *training]
    audited = [f"--model_dir={tmp_path}/first", "--features=convolution"]
    for command, flags in (("train", first), ("audit", audited)):
        [[status, _, errors]] = commands.run([command, *flags], cwd=tmp_path)
        assert status == 0, errors
    table = pandas.read_csv(tmp_path / "first" / "audit" / "audit.csv")
    found = set(table["id"][table["is_label_issue"]])
    there = mislabeled & set(table["id"])  # some are in the test cut
    assert len(found & there) >= 0.8 * len(there) and len(found - there) <= 3
    assert all(pathlib.Path(path).is_file() for path in table["file"])

    # The person accepts what the page suggests.
    summary = json.loads((tmp_path / "first" / "audit" / "audit.json").read_text())
    path = tmp_path / "corrections.csv"
    with path.open("w", newline="") as file:
        file.write(f"# split_sha256={summary['split_sha256']}\n")
        suspects = table[table["is_label_issue"]]
        rows = zip(suspects["id"], suspects["predicted_label"], strict=True)
        csv.writer(file).writerows(
            [("id", "decision", "label"), *((i, "relabel", label) for i, label in rows)]
        )
    second = [f"--model_dir={tmp_path}/second", f"--corrections={path}", *data, *training]
    [[status, _, errors]] = commands.run(["train", *second], cwd=tmp_path)
    assert status == 0, errors
    split = splits.prepare(saved_run.read(tmp_path / "second").config.data)
    assert split.manifest["corrections"][0]["relabeled"] == len(found)

"""The train command as a user starts it, in its own process."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

from tests.support import commands

ROOT = pathlib.Path(__file__).parent.parent
SHORT = ["--train_steps=20", "--eval_every=10"]


def train(*flags, cwd):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "mentormix_tf.train", f"--data_dir={cwd / 'data'}", *flags],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("steps", [300, pytest.param(600, marks=pytest.mark.slow)])  # the default
def test_the_demo_shows_what_the_method_is_for(tmp_path, steps):
    flags = ["--compare=vanilla", "--model_dir=demo", f"--train_steps={steps}"]
    done = train(*flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = {
        name: json.loads((tmp_path / "demo" / name / "result.json").read_text())
        for name in ("vanilla", "mentormix")
    }
    assert results["mentormix"]["final_accuracy"] >= 0.95
    assert results["vanilla"]["final_accuracy"] <= 0.80
    assert all(abs(result["realized_noise_rate"] - 0.4) < 1e-3 for result in results.values())
    table = done.stdout[done.stdout.index("method ") :]
    for name, result in results.items():
        [row] = [line.split() for line in table.splitlines() if line.startswith(name)]
        assert row[1:5] == [
            f"{result['peak_accuracy']:.3f}",
            f"{result['final_accuracy']:.3f}",
            f"{result['accuracy_drop']:.3f}",
            "40.0%",
        ]
    assert re.search(
        rf"step {steps}/{steps}  loss \d.*  γ \d.*  v 0.6.*  test accuracy 0.9", done.stdout
    )


@pytest.mark.slow
def test_flags_txt_repeats_the_run(tmp_path):
    common = ["train", f"--data_dir={tmp_path / 'data'}"]
    own = ["--method=s_model", "--expected_noise=0.3", "--seed=3"]
    first = [*common, *SHORT, *own, "--model_dir=first"]
    again = [*common, "--flagfile=first/flags.txt", "--model_dir=again"]
    for status, _, errors in commands.run(first, again, cwd=tmp_path):
        assert status == 0, errors
    results = [json.loads((tmp_path / d / "result.json").read_text()) for d in ("first", "again")]
    for result in results:
        assert result.pop("images_per_second") > 0
        assert result["hyperparameters"]["expected_noise"] == 0.3
    assert results[0] == results[1]
    texts = [(tmp_path / d / "flags.txt").read_text() for d in ("first", "again")]
    assert texts[0] == texts[1]


BAD = {
    "method=mentormax is unknown: choose one of": ["--compare=mentormax"],
    "noise=blue is unknown for dataset=digits": ["--noise=blue"],
    "gamma_p=1.5 must lie in [0, 1]": ["--gamma_p=1.5"],
    "alpha=much must be a number": ["--alpha=much"],
    "gamma_p can't be set: vanilla has": ["--method=vanilla", "--gamma_p=0.5"],
    "gama_p": ["--gama_p=0.5"],
    "model_dir=used/vanilla holds another run's": ["--model_dir=used", "--compare=vanilla"],
    "model_dir=used is not empty, and resume=never": ["--model_dir=used", "--resume=never"],
    "profile_steps=9 must be two steps": ["--profile_steps=9"],
    "profile_steps=9,1 must be two steps": ["--profile_steps=9,1"],
    "keep_checkpoints=0 must be at least 1": ["--keep_checkpoints=0"],
    "became": ["--learning_rate=1e30", *SHORT, "--model_dir=new"],
}


@pytest.mark.slow
def test_help_is_complete_and_bad_input_gets_one_sentence(tmp_path):
    for folder in (tmp_path / "used", tmp_path / "used" / "vanilla"):
        folder.mkdir()
        (folder / "result.json").write_text("precious")
    flags = [f"--data_dir={tmp_path / 'data'}"]
    bad = (["train", *flags, *bad] for bad in BAD.values())
    *ended, (status, text, _) = commands.run(*bad, ["train", "--helpfull"], cwd=tmp_path)
    assert status == 0
    order = ["--dataset=digits", "--method=mentormix", "--gamma_p", "--network=", "--model_dir"]
    places = [text.index(flag) for flag in order]
    assert places == sorted(places) and "mentormix: 0.6" in " ".join(text.split())
    for message, (status, _, errors) in zip(BAD, ended, strict=True):
        assert status in (1, 2)
        assert message in errors and "Traceback" not in errors
    assert (tmp_path / "used" / "result.json").read_text() == "precious"
    assert not (tmp_path / "runs").exists()

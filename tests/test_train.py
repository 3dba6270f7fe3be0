"""The train command as a user starts it, in a process of its own."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

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


def test_the_demo_shows_what_the_method_is_for(tmp_path):
    done = train("--compare=vanilla", "--model_dir=demo", cwd=tmp_path)
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
    assert re.search(r"step 600/600  loss \d.*  γ \d.*  v 0.6.*  test accuracy 0.9", done.stdout)


def test_flags_txt_repeats_the_run(tmp_path):
    first = train(*SHORT, "--seed=3", "--alpha=2", "--second_reweight", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    [folder] = (tmp_path / "runs").iterdir()  # a new one, named by the time
    second = train(f"--flagfile={folder}/flags.txt", "--model_dir=again", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    results = [json.loads((d / "result.json").read_text()) for d in (folder, tmp_path / "again")]
    for result in results:
        assert result.pop("images_per_second") > 0
        assert result["hyperparameters"]["second_reweight"] is True
    assert results[0] == results[1]
    assert (folder / "flags.txt").read_text() == (tmp_path / "again" / "flags.txt").read_text()


def test_help_is_grouped_and_complete(tmp_path):
    done = train("--help", cwd=tmp_path)
    assert done.returncode == 0
    order = ["--dataset=digits", "--method=mentormix", "--gamma_p", "--network=", "--model_dir"]
    places = [done.stdout.index(text) for text in order]
    assert places == sorted(places)
    assert "mentormix: 0.6" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--compare=mentormax"], "method=mentormax is unknown: choose one of"),
        (["--noise=blue"], "noise=blue is unknown for dataset=digits"),
        (["--gamma_p=1.5"], "gamma_p=1.5 must lie in [0, 1]"),
        (["--alpha=much"], "--alpha=much"),
        (["--method=vanilla", "--gamma_p=0.5"], "gamma_p can't be set: vanilla has"),
        (["--gama_p=0.5"], "gama_p"),
        (["--model_dir=used", "--compare=vanilla"], "model_dir=used/vanilla holds another run's"),
        (["--learning_rate=1e30", *SHORT, "--model_dir=new"], "loss became"),
    ],
)
def test_bad_input_gets_one_sentence(tmp_path, flags, message):
    for folder in (tmp_path / "used", tmp_path / "used" / "vanilla"):
        folder.mkdir()
        (folder / "result.json").write_text("precious")
    done = train(*flags, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "used" / "result.json").read_text() == "precious"
    assert not (tmp_path / "runs").exists()

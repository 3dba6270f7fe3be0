"""The study command: interrupted and resumed, with a run that fails; stopped with its parent."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from mentormix_tf.errors import InputError
from mentormix_tf.studies import results, runner, study_file
from mentormix_tf.studies.local_executor import LocalExecutor
from mentormix_tf.studies.settings import Settings
from tests.support import commands

STUDY = """
training: {train_steps: 200, eval_every: 20}
data: {dataset: digits, noise_level: 0.2, data_dir: data}
methods: {vanilla: , weight_decay: {l2: 1e30}, mixup: }
"""
RUNS = "study/runs/digits-symmetric-0.2"


def start(folder):
    (folder / "grid.yaml").write_text(STUDY)
    return subprocess.Popen(
        [sys.executable, "-m", "mentormix_tf.study", "grid.yaml", "--study_dir=study", "--jobs=2"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(commands.ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(is_so):
    for _ in range(1200):
        if is_so():
            return
        time.sleep(0.1)
    raise AssertionError("timed out")


def wait_for_an_evaluation(folder, study):
    rows = folder / RUNS / "vanilla" / "seed0" / "metrics.csv"
    wait_until(lambda: rows.exists() or study.poll() is not None)


def processes_in(folder):
    """The number of processes whose working directory is a folder."""
    count = 0
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            count += (process / "cwd").readlink() == folder
    return count


@pytest.mark.slow
def test_an_interrupted_study_resumes_and_survives_a_run_that_fails(tmp_path):
    cut = start(tmp_path)
    wait_for_an_evaluation(tmp_path, cut)
    cut.send_signal(signal.SIGTERM)
    _, errors = cut.communicate(timeout=120)
    assert cut.returncode == 128 + signal.SIGTERM, errors
    assert "Stopped before all runs were done, as requested: run the same command again" in errors
    vanilla = tmp_path / RUNS / "vanilla" / "seed0"
    assert list((vanilla / "checkpoints").glob("*.index"))
    assert not (vanilla / "result.json").exists()

    study = start(tmp_path)
    output, errors = study.communicate(timeout=300)
    assert study.returncode == 1
    assert "Continuing from step" in (vanilla / "log.txt").read_text()
    assert "error: 1 run failed; the same command tries it again:" in errors
    assert f"{RUNS}/weight_decay/seed0/log.txt: error: " in errors
    assert "Traceback" not in errors
    assert f"{RUNS}/mixup/seed0: done".removeprefix("study/") in output
    assert "2 of 3 runs are done; the report is study/report.md" in output
    runs, _ = results.read(tmp_path / "study")
    assert [run["method"] for run in runs] == ["vanilla", "mixup"]
    assert (tmp_path / "study" / "report.md").exists()


@pytest.mark.slow
def test_runs_stop_when_the_study_is_killed(tmp_path):
    study = start(tmp_path)
    wait_for_an_evaluation(tmp_path, study)
    study.kill()
    study.communicate()
    wait_until(lambda: not processes_in(tmp_path))
    assert list((tmp_path / RUNS).glob("*/seed0/checkpoints/*.index"))
    assert not (tmp_path / RUNS / "vanilla" / "seed0" / "result.json").exists()


@pytest.mark.slow
def test_what_the_command_refuses(tmp_path):
    (tmp_path / "grid.yaml").write_text(STUDY)
    away = STUDY.replace("digits", "folder:away")
    (tmp_path / "away.yaml").write_text(away)
    (tmp_path / "list.yaml").write_text(
        away.replace("folder:", "csv:").replace("noise_level: 0.2, ", "")
    )
    run = study_file.read(tmp_path / "grid.yaml").runs(lambda *_: Settings({None: {}}))[0]
    flags = run.config.flagfile()
    for folder, changed in (
        ("held", flags.replace("=vanilla", "=mixup")),
        ("shorter", flags.replace("=200", "=100")),
    ):
        (tmp_path / folder / run.name).mkdir(parents=True)
        (tmp_path / folder / run.name / "flags.txt").write_text(changed)
    ended = commands.run(
        ["study"],
        ["study", "none.yaml"],
        ["study", "grid.yaml", "--jobs=0"],
        ["study", "grid.yaml", "--tune"],
        ["study", "grid.yaml", "--notrain", "--study_dir=empty"],
        ["study", "grid.yaml", "--study_dir=held"],
        ["study", "grid.yaml", "--study_dir=shorter"],
        ["study", "grid.yaml", "--study_dir=grid.yaml"],
        ["study", "grid.yaml", "--study_dir=ram://study"],
        ["study", "away.yaml"],
        ["study", "list.yaml"],
        cwd=tmp_path,
    )
    words = [
        "Name one study's file",
        "none.yaml can't be read",
        "jobs=0 must be at least 1",
        "grid.yaml has no tune section",
        "study_dir=empty has no finished run",
        f"study_dir=held holds another study: model_dir=held/{run.name} holds",
        f"study_dir=shorter holds shorter/{run.name} with train_steps=100",
        "study_dir=grid.yaml can't be created",
        "study_dir=ram://study must be a local folder",
        "away",  # refused before a run begins
        "away",
    ]
    for (status, _, errors), expected in zip(ended, words, strict=True):
        assert status == 1
        assert expected in errors
        assert "Traceback" not in errors
    assert not (tmp_path / "empty").exists()
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("linked", ["checkpoints", "seed0", "runs"])
def test_checkpoints_that_lie_elsewhere_are_not_deleted(tmp_path, linked, monkeypatch):
    (tmp_path / "grid.yaml").write_text(STUDY)
    study = study_file.read(tmp_path / "grid.yaml")
    run = study.runs(lambda *_: Settings({None: {}}))[0]
    checkpoints = tmp_path / "study" / run.name / "checkpoints"
    link = next(path for path in (checkpoints, *checkpoints.parents) if path.name == linked)
    precious = tmp_path / "elsewhere" / checkpoints.relative_to(link) / "precious"
    precious.parent.mkdir(parents=True)
    precious.touch()
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(runner, "unfinished", lambda runs, folder: [])
    with pytest.raises(InputError, match=r"delete_checkpoints=true .* is a link to .*elsewhere"):
        runner.train([run], tmp_path / "study", LocalExecutor(1), keeps_checkpoints=False)
    assert precious.exists()


def test_a_study_whose_own_folder_is_a_link_deletes_its_checkpoints(tmp_path, monkeypatch):
    (tmp_path / "grid.yaml").write_text(STUDY)
    study = study_file.read(tmp_path / "grid.yaml")
    run = study.runs(lambda *_: Settings({None: {}}))[0]
    (tmp_path / "large_disk" / run.name / "checkpoints").mkdir(parents=True)
    (tmp_path / "study").symlink_to(tmp_path / "large_disk")
    monkeypatch.setattr(runner, "unfinished", lambda runs, folder: [])
    runner.train([run], tmp_path / "study", LocalExecutor(1), keeps_checkpoints=False)
    assert not (tmp_path / "large_disk" / run.name / "checkpoints").exists()

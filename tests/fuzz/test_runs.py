"""Run folders that somebody has edited, or that a disk has damaged."""

import json
import os
import shutil

import pytest

from tests.fuzz import bounded
from tests.support import commands

TEXTS = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"{",
    b"1",
    b"\xff\xfe\0",
    b"[" * 99_999,
    b"--dataset=digits\n",
    b"--unknown=1\n",
    b"--batch_size=0\n",
    b"--dataset\n",
    b"step,test_accuracy\n20\n",
    b"step,test_accuracy\n20,x\n",
    b"step,step\n20,20\n",
    b'step\n"20\n',
    b"\x00" * 1000,
]
FILES = ["flags.txt", "model.json", "result.json", "metrics.csv"]
VALUES = [None, True, -1, 0, 2**70, 1e400, "", "x", [], [1], [[]], {}, {"a": []}]
CHECKPOINTS = ["checkpoints/step-20.index", "checkpoints/step-20.data-00000-of-00001"]


def asked(run):
    """Commands that read a run's folder."""
    digit = run / "digit.png"
    return [
        ["predict", f"--model_dir={run}", str(digit)],
        ["export", f"--model_dir={run}"],
        ["evaluate", f"--model_dir={run}"],
    ]


def copies(run, folder):
    """Copies of a run's folder, each with a fault."""

    def copy():
        path = folder / f"run{len(list(folder.iterdir()))}"
        shutil.copytree(run, path)
        return path

    for name in FILES:
        for text in TEXTS:
            path = copy()
            (path / name).write_bytes(text)
            yield path
        path = copy()
        (path / name).unlink(missing_ok=True)
        (path / name).mkdir()
        yield path
        path = copy()
        (path / name).unlink(missing_ok=True)
        os.mkfifo(path / name)
        yield path
    facts = json.loads((run / "model.json").read_text())
    for name in facts:
        for value in VALUES:
            path = copy()
            (path / "model.json").write_text(json.dumps({**facts, name: value}))
            yield path
    for name in CHECKPOINTS:
        for size in (0, 10, 100):
            path = copy()
            (path / name).write_bytes((path / name).read_bytes()[:size])
            yield path
        path = copy()
        (path / name).unlink()
        yield path
    path = copy()
    (path / "checkpoints" / "step-best.index").write_bytes(b"x")
    (path / "checkpoints" / "step-99999999999999999999.index").write_bytes(b"x")
    yield path


@pytest.fixture
def run(digits_run, tmp_path):
    """A copy of a run's folder that has an image, too."""
    path = tmp_path / "run"
    shutil.copytree(digits_run.run.path, path)
    image = digits_run.images[0]
    from tests.support.picture_files import encode

    (path / "digit.png").write_bytes(encode(image.astype("uint8"), "png"))
    return path


def test_the_good_one_is_read(run, tmp_path):
    for status, _, error in commands.run(*asked(run), cwd=tmp_path):
        assert status == 0, error


@pytest.mark.slow
def test_some(run, tmp_path):
    (tmp_path / "copies").mkdir()
    damaged = list(copies(run, tmp_path / "copies"))[::25]
    some = [asked(path)[i % 2] for i, path in enumerate(damaged)]
    found = bounded.faults(*some, cwd=tmp_path)
    assert not found, "\n\n".join(found)


@pytest.mark.slow
def test_all(run, tmp_path):
    (tmp_path / "copies").mkdir()
    damaged = list(copies(run, tmp_path / "copies"))
    some = [asked(path)[i % 3] for i, path in enumerate(damaged)]
    found = bounded.faults(*some, cwd=tmp_path)
    assert not found, "\n\n".join(found)


VERSIONS = ["0", "-1", "1.5", "", "abc", "\uff10", "9223372036854775808", "99999999999999999999999"]
SPLITS = ["", "test+test", "all", "test[:50%]", " test", "test+", "validation+test+validation"]


@pytest.mark.slow
def test_flags_of_commands_that_read_runs(run, tmp_path):
    some = [
        *(["export", f"--model_dir={run}", f"--version={version}"] for version in VERSIONS),
        *(["evaluate", f"--model_dir={run}", f"--split={split}"] for split in SPLITS),
        ["evaluate", f"--model_dir={run}", "--batch_size=99999999999999999999"],
        ["predict", f"--model_dir={run}", "--top_k=99", "x.png"],
        ["evaluate", "--model_dir=" + "n" * 5000],
        ["evaluate", "--model_dir=s3://bucket/run"],
        ["evaluate", "--model_dir=~nobody-has-this-name/run"],
    ]
    found = bounded.faults(*some, cwd=tmp_path)
    assert not found, "\n\n".join(found)

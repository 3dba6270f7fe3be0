"""The choice of TensorFlow's kernels, and what a command does before it imports TensorFlow."""

import os
import subprocess
import sys

import pytest

from mentormix_tf import backend

WITHOUT_TENSORFLOW = """
import sys
from mentormix_tf import cli
status = cli.main(sys.argv[1:])
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
sys.exit(status)
"""


def train(*flags, cwd, **environment):
    clean = {k: v for k, v in os.environ.items() if k != "TF_ENABLE_ONEDNN_OPTS"}
    done = subprocess.run(
        [sys.executable, "-m", "mentormix_tf.train", *flags],
        cwd=cwd,
        env={**clean, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", True), ("true", True), ("0", False), ("False", False), (None, None), ("perhaps", None)],
)
def test_what_the_environment_says_of_the_kernels(monkeypatch, value, expected):
    if value is None:
        monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    else:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", value)
    assert backend.uses_onednn() is expected


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", "flags : sse avx avx2 bmi2", True),
        ("x86_64", "flags : sse avx", None),
        ("aarch64", "flags : sse avx avx2 bmi2", None),
        ("x86_64", None, None),
    ],
)
def test_onednn_on_processors_with_avx2(monkeypatch, tmp_path, machine, flags, expected):
    file = tmp_path / "cpuinfo"
    if flags is not None:
        file.write_text(f"{flags}\n")
    monkeypatch.setattr(backend, "_PROCESSORS", file)
    monkeypatch.setattr(backend.platform, "machine", lambda: machine)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    for given in ("0", None):  # what the user has chosen stays
        if given is None:
            monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
        else:
            monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", given)
        backend.choose()
        assert backend.uses_onednn() is (False if given else expected)


def test_kernels_stay_once_tensorflow_has_been_imported(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    monkeypatch.setitem(sys.modules, "tensorflow", object())
    backend.keep_kernels(False)
    assert backend.uses_onednn() is True
    monkeypatch.delitem(sys.modules, "tensorflow")
    backend.keep_kernels(None)
    assert backend.uses_onednn() is True
    backend.keep_kernels(False)
    assert backend.uses_onednn() is False


@pytest.mark.slow
def test_a_run_goes_on_with_the_kernels_that_it_began_with(tmp_path):
    flags = ["--model_dir=run", "--data_dir=data", "--eval_every=2", "--schedule=constant"]
    began = train(*flags, "--train_steps=2", cwd=tmp_path, TF_ENABLE_ONEDNN_OPTS="0")
    went_on = train(*flags, "--train_steps=4", cwd=tmp_path, TF_ENABLE_ONEDNN_OPTS="1")
    for output in (began, went_on):
        assert output.startswith("On ") and "oneDNN" not in output.splitlines()[0]
    new = train("--dry_run", *flags[1:], "--train_steps=2", cwd=tmp_path, TF_ENABLE_ONEDNN_OPTS="1")
    if new.startswith("On CPU"):
        assert "with oneDNN" in new.splitlines()[0]


def test_tensorflow_is_loaded_without_its_banner():
    code = """
import os, sys
from mentormix_tf import backend
with backend._without_banner():
    os.write(2, b"I0000 oneDNN custom operations are on. You may see\\nsomething else\\n")
    print("from Python", file=sys.stderr)
backend.load()
assert "tensorflow" in sys.modules
"""
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "something else\nfrom Python\n"


def test_tensorflow_is_loaded_where_stderr_is_closed():
    code = "from mentormix_tf import backend\nbackend.load()\nprint('loaded')"
    closed = ["bash", "-c", '"$0" -c "$1" 2>&-', sys.executable, code]
    assert subprocess.run(closed, capture_output=True, text=True).stdout == "loaded\n"


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        (["--help"], 0, "audit"),
        (["train", "--help"], 0, "--gamma_p"),
        (["train", "--print_config"], 0, "--gamma_p"),
        (["train", "--noise_level=3"], 1, "noise_level=3.0 must lie in [0, 1]"),
        (["train", "--method=nope"], 1, "method=nope is unknown"),
        (["train", "--dataset=nope"], 1, "dataset=nope"),
        (["train", "--learning_rate=-1"], 1, "learning_rate=-1.0"),
        (["train", "--examples_file=nope.csv"], 1, "nope.csv does not exist"),
    ],
)
def test_help_and_mistakes_in_flags_need_no_tensorflow(words, status, expected):
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert expected in done.stdout + done.stderr

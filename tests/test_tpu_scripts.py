"""The scripts in tpu/, as what they would run; no test reaches a cloud."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parent.parent
SCRIPTS = ["create.sh", "run.sh", "delete.sh"]
TPU_VM = ["gcloud", "compute", "tpus", "tpu-vm"]

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the scripts are for bash")


def dry_run(script, *flags, **environment):
    """The commands that a script would run, each as a list of words."""
    own = ("NAME", "PROJECT", "ZONE", "ACCELERATOR", "POD", "VERSION", "SPOT", "STORAGE")
    clean = {k: v for k, v in os.environ.items() if k not in (*own, "PYTHON", "LIBTPU")}
    done = subprocess.run(
        ["bash", str(ROOT / "tpu" / script), "--dry_run", *flags],
        env={**clean, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [shlex.split(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("script", [*SCRIPTS, "settings.sh"])
def test_syntax(script):
    subprocess.run(["bash", "-n", str(ROOT / "tpu" / script)], check=True)


def test_scripts_stop_at_the_first_error():
    for script in SCRIPTS:
        assert "\nset -euo pipefail\n" in (ROOT / "tpu" / script).read_text()
        assert os.access(ROOT / "tpu" / script, os.X_OK)


def test_create_and_delete():
    assert dry_run("create.sh") == [
        [
            *TPU_VM,
            *("create", "mentormix", "--accelerator-type=v5litepod-8"),
            *("--version=v2-alpha-tpuv5-lite", "--zone=us-central1-a"),
        ]
    ]
    pod = dict(NAME="big", PROJECT="mine", ZONE="z", ACCELERATOR="v5litepod-16", POD="1", SPOT="1")
    assert dry_run("create.sh", **pod) == [
        [
            *TPU_VM,
            *("create", "big", "--accelerator-type=v5litepod-16"),
            *("--version=tpu-vm-tf-2.20.0-pod-pjrt", "--spot", "--zone=z", "--project=mine"),
        ]
    ]
    assert dry_run("delete.sh", **pod) == [[*TPU_VM, "delete", "big", "--zone=z", "--project=mine"]]


def test_run_on_one_host():
    flags = ["--dataset=folder:my pets", "--batch_size=1024"]
    *copy, install, train = dry_run("run.sh", *flags, LIBTPU="0.0.21")
    archive = "mentormix_tf.tar.gz"
    assert copy == [
        ["mkdir", "-p", "build"],
        ["git", "archive", "--format=tar.gz", f"--output=build/{archive}", "HEAD"],
        [*TPU_VM, "scp", f"build/{archive}", "mentormix:", "--worker=all", "--zone=us-central1-a"],
    ]
    assert install[:7] == [*TPU_VM, "ssh", "mentormix", "--worker=all"]
    assert install[7] == (
        f"--command=mkdir -p mentormix_tf && tar -xzf {archive} -C mentormix_tf && cd mentormix_tf"
        " && python3 -m venv .venv && .venv/bin/pip install '.[tpu]' libtpu==0.0.21"
    )
    assert train[:7] == [*TPU_VM, "ssh", "mentormix", "--worker=0"]
    assert train[7] == (
        "--command=cd mentormix_tf && NEXT_PLUGGABLE_DEVICE_USE_C_API=true "
        "TF_PLUGGABLE_DEVICE_LIBRARY_PATH="
        '$(.venv/bin/python -c "import libtpu; print(libtpu.get_library_path())") '
        ".venv/bin/python -m mentormix_tf.train --strategy=tpu --tpu=local "
        "--dataset=folder:my\\ pets --batch_size=1024"
    )


def test_run_on_a_pod():
    *_, train = dry_run("run.sh", "--noise=red", NAME="big", POD="1", STORAGE="gs://b/f")
    [command] = [word for word in train if word.startswith("--command=")]
    before, after = command.split(" --model_dir=gs://b/f/runs/")
    assert before == (
        "--command=cd mentormix_tf && TPU_NAME=big TPU_LOAD_LIBRARY=0 "
        ".venv/bin/python -m mentormix_tf.train --strategy=tpu --tpu=big --data_dir=gs://b/f/data"
    )
    assert after.split(" ")[1:] == ["--noise=red"]
    assert "--worker=0" in train


@pytest.fixture
def path_to_gcloud(tmp_path):
    """A PATH on which gcloud and git only note that they were called."""
    for name in ("gcloud", "git"):
        (tmp_path / name).write_text('#!/bin/bash\necho "$0 $@" >> "$(dirname "$0")/called"\n')
        (tmp_path / name).chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "arguments",
    [["big"], ["big", "--dry_run"], ["--dry_run", "big"], ["a b;c"], ["-n"], [""], ["\x1b[2J"]],
)
def test_unknown_arguments_are_refused_before_anything_is_done(
    script, arguments, tmp_path, path_to_gcloud
):
    words = ["bash", str(ROOT / "tpu" / script), *arguments]
    environment = {**os.environ, "PATH": path_to_gcloud}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert re.fullmatch(rf"error: .* is unknown: tpu/{script} takes .*\.\n", done.stderr)
    assert done.stderr[:-1].isprintable()
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize("script", ["create.sh", "delete.sh"])
@pytest.mark.parametrize("flag", ["--dry-run", "--dry_run=1", "--help", "--quiet"])
def test_create_and_delete_know_no_other_flag(script, flag, tmp_path, path_to_gcloud):
    words = ["bash", str(ROOT / "tpu" / script), flag]
    done = subprocess.run(words, env={**os.environ, "PATH": path_to_gcloud}, capture_output=True)
    assert done.returncode == 1 and not (tmp_path / "called").exists()


def test_nothing_is_done_wherever_dry_run_stands(tmp_path, path_to_gcloud):
    words = ["bash", str(ROOT / "tpu" / "run.sh"), "--noise=red", "--dry_run"]
    environment = {**os.environ, "PATH": path_to_gcloud}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "gcloud compute tpus" in done.stdout
    assert not (tmp_path / "called").exists()
    # Without the flag it is called, so that the test can tell.
    subprocess.run(words[:-1], env=environment, check=True, cwd=tmp_path)
    assert (tmp_path / "called").exists()


AWKWARD = ["a b", "a;touch x", "$(touch x)", "`touch x`", "a'b", 'a"b', "a&b", "a|b", "a>b", "é*"]


@pytest.mark.parametrize("value", AWKWARD)
def test_the_remote_shell_reads_each_value_as_one_word(value):
    every = dict.fromkeys(("NAME", "PYTHON", "LIBTPU", "PROJECT", "ZONE"), value)
    *_, install, train = dry_run("run.sh", f"--x={value}", POD="1", STORAGE=value, **every)
    for words in (install, train):
        assert words[5] == value and f"--zone={value}" in words and f"--project={value}" in words
    words = remote(install)
    assert words[words.index("venv") - 2] == value and words[-1] == f"libtpu=={value}"
    words = remote(train)
    assert f"TPU_NAME={value}" in words and f"--tpu={value}" in words and f"--x={value}" in words
    assert f"--data_dir={value}/data" in words


def remote(words):
    """The words of the command that ssh runs on the TPU VM, as bash splits them there."""
    [command] = [word for word in words if word.startswith("--command=")]
    parts = shlex.shlex(command.removeprefix("--command="), posix=True, punctuation_chars=True)
    parts.whitespace_split = True
    return list(parts)


def test_a_pod_needs_storage():
    script = ["bash", str(ROOT / "tpu" / "run.sh"), "--dry_run"]
    environment = {**os.environ, "POD": "1", "STORAGE": ""}
    done = subprocess.run(script, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "set STORAGE=gs://BUCKET/FOLDER" in done.stderr

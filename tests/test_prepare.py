"""The prepare and verify commands as a user starts them, also after being killed halfway."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mentormix_tf.config import DataConfig
from mentormix_tf.data import splits
from tests.support import commands

ROOT = pathlib.Path(__file__).parent.parent
FASHION = ("train", 3000), ("t10k", 500)


def manifests(cwd):
    return {
        path.parts[-3]: json.loads(path.read_text())
        for path in (cwd / "data" / "noisy_labels").glob("*/*/manifest.json")
    }


@pytest.mark.slow
def test_all_ten_levels(tmp_path):
    command = ["prepare", f"--data_dir={tmp_path / 'data'}", "--noise_level=all"]
    (status, output, errors), (_, again, _) = commands.run(command, command, cwd=tmp_path)
    assert status == 0, errors
    rates = sorted(m["realized_noise_rate"] for m in manifests(tmp_path).values())
    expected = [0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8]
    np.testing.assert_allclose(rates, expected, atol=1e-3)
    assert "1,437 train, 360 test, 10 classes" in output
    assert "40.01% of the training labels" in output
    assert "1,437 train" in again and "Preparing" not in again


def write_fashion_mnist(data_dir):
    """A small Fashion-MNIST in the official files."""
    import gzip

    folder = data_dir / "downloads" / "manual" / "fashion_mnist"
    folder.mkdir(parents=True)
    random = np.random.RandomState(0)
    for name, count in FASHION:
        images = random.randint(256, size=(count, 28, 28)).astype(np.uint8)
        labels = random.randint(10, size=count).astype(np.uint8)
        for kind, array in [("images-idx3", images), ("labels-idx1", labels)]:
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            content = gzip.compress(header + array.tobytes())
            (folder / f"{name}-{kind}-ubyte.gz").write_bytes(content)
    return random


@pytest.mark.slow
def test_killed_and_started_again(tmp_path):
    write_fashion_mnist(tmp_path / "data")
    flags = ["--dataset=fashion_mnist"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", "mentormix_tf.prepare", f"--data_dir={tmp_path / 'data'}", *flags],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        folder = tmp_path / "data" / "noisy_labels" / "fashion_mnist-symmetric-0.4-seed0"
        while process.poll() is None and not list(folder.glob("incomplete*")):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not manifests(tmp_path)
    flags.append(f"--data_dir={tmp_path / 'data'}")
    names = ("verify", "prepare", "verify")
    missing, made, found = commands.run(*([name, *flags] for name in names), cwd=tmp_path)
    assert missing[0] == 1 and "does not exist: make it with" in missing[2]
    assert made[0] == 0 and not list(folder.glob("incomplete*"))
    assert found[0] == 0 and "Nothing is wrong." in found[1] and "realized 0.4000" in found[1]


@pytest.mark.slow
def test_verify_names_the_damaged_file(tmp_path):
    data_dir = str(tmp_path / "data")
    splits.prepare(DataConfig(data_dir=data_dir))
    [file] = (tmp_path / "data").rglob("*train.tfrecord*")
    content = bytearray(file.read_bytes())
    content[100_000] ^= 1
    file.write_bytes(bytes(content))
    flags = [f"--data_dir={data_dir}"]
    found, trained = commands.run(
        ["verify", *flags], ["train", *flags, "--model_dir=run"], cwd=tmp_path
    )
    assert found[0] == 1
    assert str(file) in found[1] and "of 1437 records can be read" in found[1]
    assert trained[0] == 1 and "Traceback" not in trained[2]
    assert file.name in trained[2] and "prepare it again" in trained[2]
    assert not (tmp_path / "run" / "metrics.csv").exists()


@pytest.mark.slow
def test_bad_flags_and_help(tmp_path):
    bad = {
        "noise_level=lots must be a number in [0, 1], or all": ["prepare", "--noise_level=lots"],
        "folder:gone is not a folder": ["prepare", "--dataset=folder:gone"],
        "beam_options=--runner=a needs --beam.": ["prepare", "--beam_options=--runner=a"],
        "noise=red is unknown for dataset=digits": ["verify", "--noise=red"],
    }
    helps = {
        "--dataset=digits": ["verify", "--help"],
        "or all for the paper's ten levels": ["prepare", "--helpshort"],
    }
    ended = commands.run(*bad.values(), *helps.values(), cwd=tmp_path)
    for message, (status, _, errors) in zip(bad, ended, strict=False):
        assert status == 1 and message in errors and "Traceback" not in errors
    for text, (status, output, _) in zip(helps, ended[len(bad) :], strict=True):
        assert status == 0 and text in " ".join(output.split())

"""Splits written by Apache Beam are those that one process writes, record for record."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import psutil
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.core.utils import shard_utils

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig
from mentormix_tf.data import beam_steps, splits
from mentormix_tf.data.beam_pipeline import BeamPipeline

pytest.importorskip("apache_beam")
ROOT = pathlib.Path(__file__).parents[2]
CIFAR10 = pathlib.Path("~/tensorflow_datasets/cifar10").expanduser()
SHA256 = "77d42fcecc0d8c9fbcef342e3169b4bdd934104c8a14bcf733ecb413c44fedb6"  # at 40 %
HERE = ["--direct_running_mode=in_memory", "--direct_num_workers=1"]


@pytest.fixture(scope="module")
def pipeline():
    """Beam in this process."""
    return BeamPipeline(HERE)


def examples(path):
    """The records of a file, in order; the order of a record's features means nothing."""
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [tf.train.Example.FromString(record) for record in records]


def assert_same(found, expected):
    """Compares all files of two splits; a fingerprint depends on the order of features."""
    names = sorted(path.name for path in expected.path.iterdir())
    assert sorted(path.name for path in found.path.iterdir()) == names
    for name in names:
        ours, theirs = found.path / name, expected.path / name
        if "tfrecord" in name:
            assert examples(ours) == examples(theirs), name
        elif name == "manifest.json":
            manifests = [json.loads(path.read_text()) for path in (ours, theirs)]
            assert all(manifest.pop("fingerprints").keys() for manifest in manifests)
            assert manifests[0] == manifests[1]
        else:
            assert ours.read_bytes() == theirs.read_bytes(), name


def config(folder, **settings):
    return DataConfig(data_dir=str(folder), **settings)


@pytest.mark.slow
def test_every_file_is_the_same_also_of_many(tmp_path, pipeline, monkeypatch):
    monkeypatch.setattr(shard_utils.ShardConfig, "min_shard_size", 20_000)
    settings = dict(validation_fraction=0.1, train_examples=1001, verified_fraction=0.05)
    one = splits.prepare(config(tmp_path / "one", **settings))
    ours = splits.prepare(config(tmp_path / "beam", **settings), pipeline=pipeline)
    assert [ours.num_examples(name) for name in ("train", "validation", "test")] == [901, 100, 360]
    assert len(list(ours.path.glob("*train.tfrecord*"))) == 8
    assert_same(ours, one)
    rows = tfds.builder_from_directory(str(ours.path)).as_dataset(split="train")
    assert len({row["id"] for row in rows.as_numpy_iterator()}) == 901


@pytest.fixture
def mine(photos, tmp_path):
    """A copy of the photos."""
    return pathlib.Path(shutil.copytree(photos, tmp_path / "mine"))


def test_images_are_checked_and_converted_in_the_pipeline(tmp_path, mine):
    class Noting(BeamPipeline):
        def bad_images(self, folder, images, max_pixels, name):
            checked.append(name)
            return super().bad_images(folder, images, max_pixels, name)

    checked, dataset = [], f"folder:{mine}"
    (mine / "red" / "broken.jpg").write_bytes(b"\xff\xd8\xff text")
    with pytest.raises(InputError, match=r"1 of \d+ \w+ images can't be decoded, the first is"):
        splits.prepare(config(tmp_path / "none", dataset=dataset), pipeline=Noting(HERE))
    assert not list((tmp_path / "none").rglob("*"))
    checked.clear()
    ours = splits.prepare(config(tmp_path / "beam", dataset=dataset), True, Noting(HERE))
    assert checked == ["train", "test"]
    assert_same(ours, splits.prepare(config(tmp_path / "one", dataset=dataset), True))


def test_an_image_that_vanishes_is_named_and_nothing_is_left(tmp_path, mine):
    class Late(BeamPipeline):
        def write(self, *arguments):
            victim.unlink()
            super().write(*arguments)

    victim = min((mine / "blue").iterdir())
    with pytest.raises(InputError, match=rf"^{victim} can't be read: No such file or directory\.$"):
        splits.prepare(config(tmp_path / "d", dataset=f"folder:{mine}"), pipeline=Late(HERE))
    assert not (tmp_path / "d" / "noisy_labels").exists()


def test_the_input_of_a_step_that_was_changed_is_not_unpickled(tmp_path):
    [task] = beam_steps.store(epath.Path(tmp_path / "work"), [("anything", 3)])
    assert task.read() == ("anything", 3)
    pathlib.Path(task.path).write_bytes(b"cposix\nsystem\n(S'touch gotcha'\ntR.")
    with pytest.raises(InputError, match="was changed while the split was written"):
        task.read()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--runner=Nope"], "beam_options=--runner=Nope can't be used: Unexpected pipeline runner"),
        (["--direct_num_workers=x"], "argument --direct_num_workers: invalid int value: 'x'"),
        (["--direct_num_workers=-1"], "direct_num_workers must be at least 0"),
        (["--direct_num_worker=2"], "--direct_num_worker is not one of Beam's pipeline options"),
        (["direct_num_workers=2"], "direct_num_workers=2 is not one of Beam's pipeline options"),
    ],
)
def test_bad_options_are_refused(words, message, capfd):
    with pytest.raises(InputError, match=r"^beam_options=[^\n]*\.$") as refusal:
        BeamPipeline(words)
    assert message in str(refusal.value)
    assert capfd.readouterr().err == ""


def test_without_beam_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(InputError, match=r"needs Apache Beam: pip install 'mentormix-tf\[beam\]'"):
        BeamPipeline()


def test_checking_options_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    BeamPipeline(HERE)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(not CIFAR10.exists(), reason="CIFAR-10 is not prepared")
def test_four_processes_killed_and_started_again(tmp_path):
    ours, plain = tmp_path / "beam", tmp_path / "plain"
    for data_dir in (ours, plain):
        data_dir.mkdir()
        (data_dir / "cifar10").symlink_to(CIFAR10)
    folder = ours / "noisy_labels" / "cifar10-symmetric-0.4-seed0"
    words = ["--dataset=cifar10", "--beam", "--beam_options=--direct_num_workers=4"]
    command = [sys.executable, "-m", "mentormix_tf.prepare", f"--data_dir={ours}", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as process:
        while process.poll() is None and len(list(folder.rglob("*.done"))) < 100:
            time.sleep(0.05)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL and len(workers) >= 4
    assert not list(folder.rglob("manifest.json")) and not (folder / "1.0.0").exists()
    _, left = psutil.wait_procs(workers, timeout=120)
    assert not left
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert again.returncode == 0 and again.stderr == ""
    assert not list(folder.rglob("*incomplete*"))
    found = splits.prepare(config(ours, dataset="cifar10"))
    assert found.manifest["split_sha256"] == SHA256
    assert_same(found, splits.prepare(config(plain, dataset="cifar10")))
    rows = tfds.builder_from_directory(str(found.path)).as_dataset(split="train")
    assert sum(1 for _ in rows) == 50_000

"""A person's corrections: what they change in a split, which files are read and which refused."""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mentormix_tf import InputError, files
from mentormix_tf.config import DataConfig
from mentormix_tf.data import prepared, splits, verify
from mentormix_tf.data.sources.base import SourceSplit
from mentormix_tf.data.sources.images_on_demand import ImagesOnDemand
from mentormix_tf.data.writer import SplitPlan
from tests.support import commands
from tests.support.corrected import decisions, read_by_tfds, text
from tests.support.picture_files import encode

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def correct(tmp_path, data_dir):
    """Prepares digits with the given text of a file of corrections."""

    def prepare(contents, **settings):
        path = tmp_path / "corrections.csv"
        path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
        settings = {"data_dir": data_dir, "validation_fraction": 0.1, **settings}
        return splits.prepare(DataConfig(corrections=str(path), **settings))

    return prepare


def expected(examples, rows):
    """What the examples of a part must become, by the definition."""
    by_id = {identifier: (word, label) for identifier, word, label in rows}
    made = []
    for example in examples:
        word, label = by_id.get(example["id"].decode(), ("", ""))
        if word == "drop":
            continue
        new = int(label) if word == "relabel" else int(example["label"])
        made.append(
            {
                "id": example["id"],
                "image": example["image"].tobytes(),
                "label": new,
                "true_label": int(example["true_label"]),
                "is_clean": int(new == example["true_label"]),
                "verified": 1 if word else -1,
            }
        )
    return made


def plain(examples):
    return [
        {
            name: value if name == "id" else value.tobytes() if name == "image" else int(value)
            for name, value in example.items()
        }
        for example in examples
    ]


def test_every_record_is_as_decided_and_in_the_same_order(base, correct):
    rows = decisions(base)
    contents = text(base.manifest["split_sha256"], rows)
    made = correct(contents)
    assert made.path != base.path
    for part in ("train", "validation"):
        assert plain(read_by_tfds(made.path, part)) == expected(read_by_tfds(base.path, part), rows)
    test = read_by_tfds(made.path, "test")
    assert {int(e.pop("verified")) for e in test} == {-1}
    assert plain(test) == plain(read_by_tfds(base.path, "test"))


def test_the_manifest_counts_what_was_done(base, correct):
    rows = decisions(base)
    contents = text(base.manifest["split_sha256"], rows)
    made = correct(contents)
    manifest = json.loads((made.path / "manifest.json").read_text())
    [entry] = manifest["corrections"]
    assert entry == {
        "base_sha256": base.manifest["split_sha256"],
        "relabeled": 22,
        "dropped": 2,
        "kept": 7,
        "file_sha256": hashlib.sha256(contents.encode()).hexdigest(),
    }
    examples = read_by_tfds(made.path, "train") + read_by_tfds(made.path, "validation")
    assert manifest["num_verified"] == sum(e["verified"] == 1 for e in examples) == 29
    wrong = np.mean([e["label"] != e["true_label"] for e in examples])
    assert manifest["realized_noise_rate"] == pytest.approx(wrong)
    assert wrong < base.manifest["realized_noise_rate"]
    matrix = np.zeros((10, 10))
    for e in examples:
        matrix[e["true_label"], e["label"]] += 1
    matrix /= matrix.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(manifest["transition_matrix"], matrix, atol=1e-6)
    lines = sorted((e["id"].decode(), int(e["label"])) for e in examples)
    labels = "".join(f"{identifier} {label}\n" for identifier, label in lines)
    assert manifest["split_sha256"] == hashlib.sha256(labels.encode()).hexdigest()
    assert "22 relabeled, 2 dropped, 7 kept" in made.text()
    same = {"dataset", "noise", "noise_level", "noise_seed", "validation_fraction", "label_names"}
    assert all(manifest[name] == base.manifest[name] for name in same)


def test_verify_reads_verified(base, correct):
    made = correct(text(base.manifest["split_sha256"], decisions(base)))
    assert verify.examine(made.builder, made.manifest).problems == []
    lied = {**made.manifest, "num_verified": 3}
    assert verify.examine(made.builder, lied).problems == [
        "29 labels are verified, but the manifest has 3."
    ]


def test_only_a_corrected_split_may_have_the_column(base, correct, tmp_path):
    made = correct(text(base.manifest["split_sha256"], decisions(base)))
    manifest = json.loads((made.path / "manifest.json").read_text())
    path = tmp_path / "copy"
    shutil.copytree(made.path, path)
    for bad in (
        {"corrections": None},
        {"corrections": [{}]},
        {"corrections": ["a"]},
        {"corrections": [{**manifest["corrections"][0], "kept": -1}]},
        {"corrections": [{**manifest["corrections"][0], "more": 1}]},
        {"num_verified": "3"},
    ):
        (path / "manifest.json").write_text(json.dumps({**manifest, **bad}))
        with pytest.raises(InputError, match=r"prepare it again\.$"):
            prepared.load(path)
    for missing in (["corrections"], ["num_verified"], ["corrections", "num_verified"]):
        kept = {name: value for name, value in manifest.items() if name not in missing}
        (path / "manifest.json").write_text(json.dumps(kept))
        with pytest.raises(InputError, match=r"prepare it again\.$"):
            prepared.load(path)


def test_batches_can_have_verified(base, correct):
    made = correct(text(base.manifest["split_sha256"], decisions(base)))
    columns = ("image", "label", "verified")
    for data, known in ((made, {-1, 1}), (base, {-1})):
        batches = data.batches("train", 1280, augmentation="none", columns=columns)
        batch = next(batches.as_numpy_iterator())
        assert set(batch["verified"].tolist()) == known and batch["verified"].dtype == np.int64


def test_other_corrections_make_another_split(base, correct):
    sha256 = base.manifest["split_sha256"]
    rows = decisions(base)
    first, second = correct(text(sha256, rows)), correct(text(sha256, rows[:3]))
    assert first.path != second.path
    assert correct(text(sha256, rows)).path == first.path


def test_unknown_truth_stays_unknown():
    source = SourceSplit(
        list("abcd"), np.array([0, 0, 1, 1]), ImagesOnDemand([b""] * 4), np.array([-1, 0, -1, 0])
    )
    verified = np.array([1, 1, 1, -1])
    plan = SplitPlan(source, np.array([1, 1, 1, 0]), np.ones(4, bool), verified)
    assert plan.is_clean.tolist() == [-1, 0, -1, 1]


def test_corrections_of_a_corrected_split(base, correct, tmp_path, data_dir):
    rows = decisions(base)
    once = correct(text(base.manifest["split_sha256"], rows))
    identifier, _, label = rows[0]
    later = tmp_path / "later.csv"
    new = str((int(label) + 1) % 10)
    further = [(identifier, "relabel", new), (rows[1][0], "drop", "")]
    later.write_text(text(once.manifest["split_sha256"], further))
    config = DataConfig(
        data_dir=data_dir,
        validation_fraction=0.1,
        corrections=f"{tmp_path / 'corrections.csv'}, {later}",
    )
    twice = splits.prepare(config)
    assert [entry["dropped"] for entry in twice.manifest["corrections"]] == [2, 1]
    assert twice.manifest["corrections"][1]["base_sha256"] == once.manifest["split_sha256"]
    found = {e["id"].decode(): e for e in read_by_tfds(twice.path, "train")}
    assert rows[1][0] not in found and found[identifier]["label"] == int(new)
    assert twice.manifest["num_verified"] == once.manifest["num_verified"] - 1
    assert verify.verify(config).problems == []
    swapped = dataclasses.replace(config, corrections=f"{later},{tmp_path / 'corrections.csv'}")
    with pytest.raises(InputError, match=r"later.csv is for the split"):
        splits.prepare(swapped)
    again = dataclasses.replace(config, corrections=f"{config.corrections},{later}")
    with pytest.raises(InputError, match=r"after the corrections before it"):
        splits.prepare(again)


# The user's own images, and the commands.


@pytest.fixture
def pets(tmp_path):
    """Two classes of images in folders, whose ids have commas, quotes and formulas."""
    draws = np.random.RandomState(0)
    names = ["=cmd.png", 'a "b", c.png', "d;e.png", *(f"{i}.png" for i in range(7))]
    for name in ("cat", "dog, big"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for file in names:
            pixels = draws.randint(256, size=(9, 9, 3))
            (tmp_path / "pets" / name / file).write_bytes(encode(pixels, "png"))
    return tmp_path / "pets"


@pytest.mark.parametrize("family", ["folder", "csv"])
def test_own_images(pets, tmp_path, data_dir, family):
    dataset = f"folder:{pets}"
    if family == "csv":
        rows = [{"path": str(p), "label": p.parent.name} for p in sorted(pets.rglob("*.png"))]
        files.write_csv(pets / "list.csv", rows)
        dataset = f"csv:{pets / 'list.csv'}"
    config = DataConfig(dataset=dataset, data_dir=data_dir)
    base = splits.prepare(config)
    train = read_by_tfds(base.path, "train")
    ids = [e["id"].decode() for e in train]
    names = base.class_names
    rows = [(ids[i], "relabel", names[1 - train[i]["label"]]) for i in range(0, len(ids), 2)]
    rows.append((ids[1], "drop", ""))
    path = tmp_path / "c.csv"
    path.write_text(
        f"# split_sha256={base.manifest['split_sha256']}\r\n"
        + files.csv_text([("id", "decision", "label"), *rows], "\r\n"),
        newline="",
    )
    config = dataclasses.replace(config, corrections=str(path))
    made = splits.prepare(config)
    found = read_by_tfds(made.path, "train")
    assert [e["id"].decode() for e in found] == [ids[0], *ids[2:]]
    flipped = {identifier for identifier, word, _ in rows if word == "relabel"}
    for old, new in zip([train[0], *train[2:]], found, strict=True):
        changed = new["id"].decode() in flipped
        assert (new["label"] != old["label"]) == changed == (new["verified"] == 1)
        assert (new["true_label"], new["is_clean"]) == (-1, -1)  # nobody knows
    assert verify.verify(config).problems == []


@pytest.mark.slow
def test_commands(tmp_path):
    data = [f"--data_dir={tmp_path / 'data'}", "--validation_fraction=0.1"]
    [(status, output, errors)] = commands.run(["prepare", *data], cwd=tmp_path)
    assert status == 0, errors
    [path] = (tmp_path / "data" / "noisy_labels").glob("*/*")
    sha256 = json.loads((path / "manifest.json").read_text())["split_sha256"]
    assert sha256 in output
    wrong = [e for e in read_by_tfds(path, "train") if not e["is_clean"]]
    rows = [(e["id"].decode(), "relabel", str(e["true_label"])) for e in wrong[:100]]
    (tmp_path / "c.csv").write_text(text(sha256, rows))
    (tmp_path / "bad.csv").write_text(text(sha256, [("x", "keep", "")]))
    flags = [*data, "--corrections=c.csv"]
    training = ["--train_steps=2", "--batch_size=8", "--network=small_cnn", "--model_dir=run"]
    bad, missing, made, found, trained = commands.run(
        ["prepare", *data, "--corrections=bad.csv"],
        ["verify", *flags],
        ["prepare", *flags],
        ["verify", *flags],
        ["train", *flags, *training],
        cwd=tmp_path,
    )
    assert bad[0] == 1 and "line 3, has id='x'" in bad[2] and "Traceback" not in bad[2]
    assert missing[0] == 1 and "does not exist" in missing[2]
    assert made[0] == 0 and "100 relabeled, 0 dropped, 0 kept" in made[1]
    assert found[0] == 0 and "Nothing is wrong." in found[1]
    assert trained[0] == 0, trained[2]
    [corrected] = (tmp_path / "data" / "noisy_labels").glob("*corrected*/*/manifest.json")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["split_sha256"] == json.loads(corrected.read_text())["split_sha256"] != sha256
    assert "--corrections=" in (tmp_path / "run" / "flags.txt").read_text()


@pytest.mark.slow
def test_killed_and_started_again(base, tmp_path):
    (tmp_path / "c.csv").write_text(text(base.manifest["split_sha256"], decisions(base)))
    flags = [f"--data_dir={tmp_path / 'data'}", "--validation_fraction=0.1", "--corrections=c.csv"]
    with subprocess.Popen(
        [sys.executable, "-m", "mentormix_tf.prepare", *flags],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        folder = tmp_path / "data" / "noisy_labels"
        while process.poll() is None and not list(folder.glob("*/incomplete*")):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert not list(folder.glob("*/*/manifest.json"))
    made, found = commands.run(["prepare", *flags], ["verify", *flags], cwd=tmp_path)
    assert made[0] == 0 and found[0] == 0, (made, found)
    assert not list(folder.glob("*/incomplete*"))

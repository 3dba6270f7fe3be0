"""A person's corrections: what they change in a split, which files are read and which refused."""

import csv
import dataclasses
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from mentormix_tf import InputError, files
from mentormix_tf.config import DataConfig
from mentormix_tf.data import corrections, prepared, splits, spreadsheet, verify
from mentormix_tf.data.sources.base import SourceSplit
from mentormix_tf.data.writer import SplitPlan
from tests.support import commands
from tests.support.picture_files import encode

ROOT = pathlib.Path(__file__).parents[2]


def read_by_tfds(path, split):
    """The examples of a split in the order of its files, without this package."""
    builder: Any = tfds.builder_from_directory(path)
    config = tfds.ReadConfig(interleave_cycle_length=1)
    return list(builder.as_dataset(split=split, read_config=config).as_numpy_iterator())


def text(sha256, rows, header=("id", "decision", "label"), delimiter=",", line_end="\n"):
    table = io.StringIO()
    csv.writer(table, delimiter=delimiter, lineterminator=line_end).writerows([header, *rows])
    return f"# split_sha256={sha256}{line_end}{table.getvalue()}"


@pytest.fixture
def base(data_dir):
    """Digits with a part held out for validation."""
    return splits.prepare(DataConfig(data_dir=data_dir, validation_fraction=0.1))


@pytest.fixture
def correct(tmp_path, data_dir):
    """Prepares digits with the given text of a file of corrections."""

    def prepare(contents, **settings):
        path = tmp_path / "corrections.csv"
        path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
        settings = {"data_dir": data_dir, "validation_fraction": 0.1, **settings}
        return splits.prepare(DataConfig(corrections=str(path), **settings))

    return prepare


def decisions(base):
    """Rows about examples of both parts, and what they do: the new label of each id."""
    train, validation = read_by_tfds(base.path, "train"), read_by_tfds(base.path, "validation")
    wrong = [e for e in train if not e["is_clean"]][:20]
    right = [e for e in train if e["is_clean"]][:9]
    rows = [(e["id"].decode(), "relabel", str(e["true_label"])) for e in wrong]
    rows += [(e["id"].decode(), "keep", "") for e in right[:3]]
    rows += [(e["id"].decode(), "keep", str(e["label"])) for e in right[3:5]]
    rows += [(e["id"].decode(), "relabel", str(e["label"])) for e in right[5:7]]  # its own label
    rows += [(right[7]["id"].decode(), "relabel", str((right[7]["label"] + 1) % 10))]  # a mistake
    rows += [(right[8]["id"].decode(), "drop", "anything")]
    rows += [(validation[0]["id"].decode(), "drop", "")]
    rows += [(validation[1]["id"].decode(), "relabel", str((validation[1]["label"] + 3) % 10))]
    return rows


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
        list("abcd"), np.array([0, 0, 1, 1]), lambda: iter(()), np.array([-1, 0, -1, 0])
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


# Files as spreadsheets save them.


def comment(sha256, form, delimiter):
    return {
        "plain": f"# split_sha256={sha256}",
        "padded": f"# split_sha256={sha256}{delimiter * 2}",
        "quoted": f'"# split_sha256={sha256}"{delimiter * 2}',
        "loose": f"#split_sha256 = {sha256.upper()} ",
    }[form]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("form", ["plain", "padded", "quoted", "loose"])
def test_as_spreadsheets_write_it(tmp_path, encoding, delimiter, line_end, form):
    sha256 = "0123456789abcdef" * 4
    rows = [("ID", " Decision", "label "), ("a.png", "Relabel", " café "), ("b", "keep", "")]
    rows += [("c,d;e", "drop", ""), ("", "", "")]
    table = io.StringIO()
    csv.writer(table, delimiter=delimiter, lineterminator=line_end).writerows(rows)
    path = tmp_path / "c.csv"
    contents = comment(sha256, form, delimiter) + line_end + table.getvalue()
    path.write_bytes(contents.encode(encoding))
    found = corrections.read(str(path))
    assert found.split_sha256 == sha256
    assert [(d.line, d.example, d.word, d.label) for d in found.decisions] == [
        (3, "a.png", "relabel", "café"),
        (4, "b", "keep", ""),
        (5, "c,d;e", "drop", ""),
    ]


@pytest.mark.parametrize("guarded", [True, False])
def test_ids_that_look_like_formulas(guarded):
    ids = ["=cmd|' /C calc'!A0", "'=1", '"a", b', "-x", "+1", "x\ny", " é "]
    split = corrections.LabeledSplit(
        ["=A", "b"], ids, np.zeros(len(ids), np.int64), {"train": np.ones(len(ids), bool)}
    )
    rows = [(each, "relabel", "b") for each in ids[1:]] + [(ids[0], "keep", "=A")]
    written = files.csv_text(rows) if guarded else text("", rows).partition("label\n")[2]
    body = f"# split_sha256={split.sha256}\nid,decision,label\n{written}"
    parts = corrections.split_named_above(body)
    table = spreadsheet.rows(parts[1], "x", corrections.COLUMNS, above=1)
    found = [corrections._decision("x", *row) for row in table]
    made = corrections.apply(corrections.Corrections("x", split.sha256, "f", found), split)
    assert made.labels.tolist() == [0, 1, 1, 1, 1, 1, 1]


def test_names_of_files_with_commas(base, tmp_path, data_dir):
    folder = tmp_path / "a,b"
    folder.mkdir()
    path = folder / "c.csv"
    path.write_text(text(base.manifest["split_sha256"], decisions(base)[:1]))
    assert corrections.paths(str(path)) == [str(path)]
    config = DataConfig(data_dir=data_dir, validation_fraction=0.1, corrections=str(path))
    assert splits.prepare(config).manifest["num_verified"] == 1


# What is refused.


def refused(tmp_path, contents, **settings):
    """The error of preparing digits in a new folder, after checking that nothing is made."""
    path = tmp_path / "c.csv"
    if contents is not None:
        path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    config = DataConfig(data_dir=str(tmp_path / "new"), corrections=str(path), **settings)
    with pytest.raises(InputError) as raised:
        splits.prepare(config)
    assert not (tmp_path / "new").exists()
    message = str(raised.value)
    assert message.startswith("corrections=") and message.endswith(".") and "\n" not in message
    assert len(message) < 900 and str(path) in message
    return message


HASH = "0" * 64
HEADER = f"# split_sha256={HASH}\nid,decision,label\n"


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ("", "does not begin with a line '# split_sha256='"),
        ("id,decision,label\na,keep,\n", "save it again from the audit"),
        (f"# split_sha256={HASH[1:]}\nid,decision,label\na,keep,\n", "64 hexadecimal digits"),
        (f"\n# split_sha256={HASH}\nid,decision,label\na,keep,\n", "does not begin with a line"),
        (f"# split_sha256={HASH}\n", "has no column id: it has ''"),
        (HEADER, "has no decisions: add a row"),
        (HEADER + "\n,,\n", "has no decisions"),
        (HEADER.replace("decision", "choice") + "a,keep,\n", "has no column decision"),
        (HEADER.replace("label", "id") + "a,keep,\n", "has no column label"),
        (HEADER.replace("label", "label,ID") + "a,keep,,\n", "has two columns id"),
        (HEADER + "a,keep\n", "line 3, has 2 cells instead of 3"),
        (HEADER + "a,keep,\nb,delete,\n", "line 4, has decision='delete': choose one of relabel"),
        (HEADER + "a,,3\n", "line 3, has decision='': choose one of"),
        (HEADER + "a,relabel,  \n", "line 3, relabels 'a' without a label: name its class"),
        (HEADER + 'a,"keep,\n', "line 3, can't be read: unexpected end of data"),
        (HEADER.encode() + b"\xe9,keep,\n", "is not UTF-8 text in line 3"),
        (bytes(range(256)) * 10, "is not UTF-8 text"),
        (b"\0" * 1000, "does not begin with a line"),
        (HEADER + "a" * 200_000 + ",keep,\n", "line 3, can't be read: field larger"),
        (HEADER + "train_0,keep,\n", "is for the split 00000000, but the other flags name the"),
    ],
)
def test_bad_files(tmp_path, contents, message):
    assert message in refused(tmp_path, contents)


def test_another_split_is_named_by_both_hashes(tmp_path, digits):
    sha256 = digits.manifest["split_sha256"]
    message = refused(tmp_path, text(sha256, [("train_0", "keep", "")]), noise_seed=7)
    other = splits.prepare(DataConfig(data_dir=str(tmp_path / "7"), noise_seed=7))
    assert sha256[:8] in message and other.manifest["split_sha256"][:8] in message
    assert "give the flags of the split that was corrected" in message


def test_bad_rows(tmp_path, digits):
    examples = read_by_tfds(digits.path, "train")
    ids = [e["id"].decode() for e in examples]
    other = str((examples[0]["label"] + 1) % 10)
    test_id = read_by_tfds(digits.path, "test")[0]["id"].decode()
    of_class = [e["id"].decode() for e in examples if e["label"] == 3]
    cases = [
        (
            [(ids[0], "keep", ""), ("gone", "drop", "")],
            "line 4, has id='gone', which is in neither",
        ),
        ([(test_id, "keep", "")], f"line 3, has id='{test_id}'"),
        ([(ids[0], "keep", ""), (ids[0], "drop", "")], "as line 3 does: remove one of them"),
        ([(ids[0], "relabel", "33")], "line 3, has label='33', which is no class: the nearest is"),
        ([(ids[0], "relabel", "x" * 5000)], "which is no class: the nearest is '"),
        ([(ids[0], "keep", other)], f"keeps the label '{other}' of an example whose label is"),
        ([(each, "drop", "") for each in ids], "drops all examples of train"),
        ([(each, "drop", "") for each in of_class], "drops the last training example of class '3'"),
    ]
    for rows, message in cases:
        assert message in refused(tmp_path, text(digits.manifest["split_sha256"], rows))


def test_validation_must_not_be_emptied(tmp_path, base):
    ids = [e["id"].decode() for e in read_by_tfds(base.path, "validation")]
    contents = text(base.manifest["split_sha256"], [(each, "drop", "") for each in ids])
    message = refused(tmp_path, contents, validation_fraction=0.1)
    assert "drops all examples of validation" in message


def test_the_nearest_class_is_suggested():
    split = corrections.LabeledSplit(
        ["cat", "dog", "horse"], ["a"], np.zeros(1, np.int64), {"train": np.ones(1, bool)}
    )
    for written, nearest in [("dgo", "dog"), ("Horse", "horse"), ("zzz", "")]:
        decision = corrections.Decision(3, "a", "relabel", written)
        given = corrections.Corrections("c", split.sha256, "f", [decision])
        with pytest.raises(InputError, match=f"the nearest is '{nearest}"):
            corrections.apply(given, split)


def test_what_is_no_file(tmp_path):
    assert "c.csv does not exist" in refused(tmp_path, None)
    (tmp_path / "c.csv").mkdir()
    assert "c.csv is not a file" in refused(tmp_path, None)
    (tmp_path / "c.csv").rmdir()
    os.mkfifo(tmp_path / "c.csv")  # which would wait for its writer
    assert "c.csv is not a file" in refused(tmp_path, None)
    (tmp_path / "c.csv").unlink()
    with (tmp_path / "c.csv").open("wb") as huge:
        huge.truncate(2**40)
    assert "has more than 1,073,741,824 bytes" in refused(tmp_path, None)
    for flag in ("c.csv,", ",", "~nobodyhere/c.csv", "a\0b"):
        with pytest.raises(InputError, match=r"^corrections="):
            splits.resolve(DataConfig(corrections=flag))


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

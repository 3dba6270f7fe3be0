"""Corrections of labels: what they do, and what is wrong with files of them."""

import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig
from mentormix_tf.data import corrections, prepared, splits, verify
from tests.support import picture_files

ROOT = pathlib.Path(__file__).parent.parent.parent


def read(data, split="train"):
    """The examples of a split by id, read by TFDS alone, and their order."""
    builder = tfds.builder_from_directory(str(data.path))
    stored = [
        {k: v for k, v in e.items() if k != "image"}
        for e in tfds.as_numpy(builder.as_dataset(split))
    ]
    return {e["id"].decode(): e for e in stored}, [e["id"].decode() for e in stored]


@pytest.fixture(scope="module")
def base(data_dir):
    return splits.prepare(DataConfig(data_dir=data_dir, noise_level=0.3, validation_fraction=0.2))


@pytest.fixture
def config(data_dir):
    def config(*files):
        paths = tuple(map(str, files))
        return DataConfig(
            data_dir=data_dir, noise_level=0.3, validation_fraction=0.2, corrections=paths
        )

    return config


@pytest.fixture
def write(tmp_path, base):
    def write(rows, sha256=base.manifest["split_sha256"], name="corrections.csv", **options):
        lines = [f"# split_sha256={sha256}", "id,decision,label", *rows]
        path = tmp_path / name
        text = options.get("line_end", "\n").join(lines) + "\n"
        path.write_bytes(text.encode(options.get("encoding", "utf-8")))
        return path

    return write


def test_a_corrected_split(base, config, write):
    before, order = read(base)
    held_out, _ = read(base, "validation")
    wrong = [i for i in order if before[i]["is_clean"] == 0]
    right = [i for i in order if before[i]["is_clean"] == 1]
    of_validation = next(i for i in held_out if held_out[i]["is_clean"] == 0)
    truth = int(held_out[of_validation]["true_label"])
    rows = [f"{i},relabel,{before[i]['true_label']}" for i in wrong[:50]]
    rows += [
        f"{wrong[50]},drop,",
        f"{right[0]},keep,",
        f"{right[1]},keep,{before[right[1]]['label']}",
    ]
    rows += [f"{of_validation},relabel,{truth}", f"{right[2]},relabel,{before[right[2]]['label']}"]
    path = write(rows)
    data = splits.prepare(config(path))
    after, order_after = read(data)
    assert data.path != base.path
    # Everything else is as it was, in the same order.
    assert order_after == [i for i in order if i != wrong[50]]
    for i in order_after:
        is_relabeled = i in wrong[:50]
        assert after[i]["label"] == before[i]["true_label" if is_relabeled else "label"]
        assert after[i]["is_clean"] == (1 if is_relabeled else before[i]["is_clean"])
        assert after[i]["true_label"] == before[i]["true_label"]
        assert after[i]["verified"] == (1 if is_relabeled or i in right[:3] else -1)
    validation, _ = read(data, "validation")
    assert validation.keys() == held_out.keys()
    assert validation[of_validation]["label"] == truth
    [record] = data.manifest["corrections"]
    assert record["split_sha256"] == base.manifest["split_sha256"]
    assert (record["relabel"], record["keep"], record["drop"]) == (51, 3, 1)
    clean = [e["is_clean"] for e in (*after.values(), *validation.values())]
    assert data.manifest["realized_noise_rate"] == pytest.approx(np.mean(np.equal(clean, 0)))
    assert verify.verify(config(path)).problems == []
    assert "51 relabeled, 3 kept, 1 dropped" in data.text()
    batch = next(iter(data.batches("train", 64, columns=("image", "label", "verified"))))
    assert set(batch["verified"].numpy().tolist()) <= {-1, 1}
    plain = next(iter(base.batches("train", 64, columns=("image", "label", "verified"))))
    assert (plain["verified"].numpy() == -1).all()


def test_corrections_of_corrections(base, config, write):
    _, order = read(base)
    first = write([f"{order[0]},drop,"], name="first.csv")
    once = splits.prepare(config(first))
    second = write([f"{order[1]},drop,"], once.manifest["split_sha256"], name="second.csv")
    twice = splits.prepare(config(first, second))
    assert read(twice)[1] == order[2:]
    assert [each["drop"] for each in twice.manifest["corrections"]] == [1, 1]
    with pytest.raises(InputError, match=r"second.csv corrects another split .*all earlier"):
        splits.prepare(config(second))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_as_spreadsheets_save_them(base, write, encoding, delimiter, line_end):
    ids = ["a,b", "=1+1", 'quote "d"']
    labels, kept = np.array([0, 0, 1]), np.ones(3, bool)
    sha256 = corrections.labels_sha256(ids, labels.tolist())
    quoted = [f'"{i}"'.replace('e "d"', 'e ""d""') for i in ("a,b", "'=1+1", 'quote "d"')]
    rows = [
        delimiter.join(row) for row in zip(quoted, ["keep", "Relabel ", "keep"], ["", "dog", ""])
    ]
    lines = [f"# split_sha256={sha256}{delimiter}{delimiter}", delimiter.join(corrections.COLUMNS)]
    path = write([])
    text = line_end.join([*lines, *rows, delimiter * 2, ""])
    path.write_bytes(text.encode(encoding))
    done = corrections.apply([str(path)], ids, labels, kept, ["cat", "dog"])
    np.testing.assert_array_equal(done.labels, [0, 1, 1])
    np.testing.assert_array_equal(done.verified, [1, 1, 1])
    assert done.record[0]["relabel"] == 1


BAD = {
    "begins with 'id,decision,label' instead of '# split_sha256='": "id,decision,label\nA,drop,\n",
    "has no decisions": "# split_sha256=SHA\nid,decision,label\n",
    "begins with '' instead of": "",
    "has no column decision: it has 'id,label'": "# split_sha256=SHA\nid,label\nA,1\n",
    "line 3: the split has no example 'nobody'": "# split_sha256=SHA\nid,decision\nnobody,drop\n",
    "line 4: 'A' was decided in line 3 already": "# split_sha256=SHA\nid,decision\nA,drop\nA,drop\n",
    "line 3: decision='remove' is unknown: choose one of relabel, keep, drop": (
        "# split_sha256=SHA\nid,decision\nA,remove\n"
    ),
    "line 3: relabel needs a label": "# split_sha256=SHA\nid,decision,label\nA,relabel,\n",
    "line 3: '77' is no class: choose one, such as": (
        "# split_sha256=SHA\nid,decision,label\nA,relabel,77\n"
    ),
    "line 3: keep names": "# split_sha256=SHA\nid,decision,label\nA,keep,OTHER\n",
    "has two columns label": "# split_sha256=SHA\nid,decision,label,label\nA,drop,,\n",
    "line 3, has 4 cells instead of 3": "# split_sha256=SHA\nid,decision,label\nA,drop,,\n",
    "corrects another split (00000000 instead of": (
        f"# split_sha256={'0' * 64}\nid,decision,label\nA,drop,\n"
    ),
    "drops all examples": None,
    "leaves class 3 without an example": None,
    "is not UTF-8 text in line 1": b"\xff\xfe\x00\xd8\xff",
}


@pytest.mark.parametrize("message", BAD)
def test_what_is_refused(base, config, tmp_path, data_dir, message):
    before, order = read(base)
    everything = {**before, **read(base, "validation")[0]}
    first, contents = order[0], BAD[message]
    if contents is None:
        dropped = (
            everything
            if "all" in message
            else {i for i in everything if everything[i]["label"] == 3}
        )
        contents = "# split_sha256=SHA\nid,decision\n" + "".join(f"{i},drop\n" for i in dropped)
    if isinstance(contents, str):
        contents = re.sub(r"(?m)^A,", f"{first},", contents).replace(
            "SHA\n", base.manifest["split_sha256"] + "\n"
        )
        contents = contents.replace("OTHER", str((before[first]["label"] + 1) % 10)).encode()
        message = message.replace("'A'", f"'{first}'")
    path = tmp_path / "corrections.csv"
    path.write_bytes(contents)
    there = sorted(pathlib.Path(data_dir).rglob("*"))
    with pytest.raises(InputError) as raised:
        splits.prepare(config(path))
    assert message in str(raised.value) and str(path) in str(raised.value)
    assert str(raised.value).count("\n") == 0
    files = [p for p in pathlib.Path(data_dir).rglob("*") if p.is_file()]
    assert set(files) <= set(there)


def test_a_file_that_is_none(config, tmp_path):
    for path in (tmp_path, tmp_path / "missing.csv"):
        with pytest.raises(InputError, match="is not a file: name what an audit's page saved"):
            splits.prepare(config(path))


def test_a_person_may_know_what_the_source_does_not(tmp_path, data_dir):
    """Labels of a user's own folder: whether they are right is unknown, also after a correction."""
    picture = picture_files.encode(np.zeros((4, 4, 3), np.uint8))
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(6):
            (tmp_path / "pets" / name / f"{i}.png").write_bytes(picture)
    base = splits.prepare(DataConfig(dataset=f"folder:{tmp_path}/pets", data_dir=data_dir))
    _, order = read(base)
    cat = next(i for i in order if i.startswith("cat"))
    path = tmp_path / "corrections.csv"
    sha256 = base.manifest["split_sha256"]
    path.write_text(f"# split_sha256={sha256}\nid,decision,label\n{cat},relabel,dog\n")
    data = splits.prepare(
        DataConfig(dataset=f"folder:{tmp_path}/pets", data_dir=data_dir, corrections=(str(path),))
    )
    after, _ = read(data)
    assert (after[cat]["label"], after[cat]["verified"], after[cat]["is_clean"]) == (1, 1, -1)
    assert data.manifest["realized_noise_rate"] is None


def test_the_command(base, write, data_dir):
    _, order = read(base)
    path = write([f"{order[0]},drop,"])
    flags = [f"--data_dir={data_dir}", "--noise_level=0.3", "--validation_fraction=0.2"]
    command = [sys.executable, "-m", "mentormix_tf.prepare", *flags, f"--corrections={path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "0 relabeled, 0 kept, 1 dropped" in done.stdout, done.stderr
    path.write_text("nothing")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "error: corrections=" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_prepared_splits_without_corrections_are_as_before(base):
    assert "corrections" not in prepared.load(base.path).manifest
    features = base.builder.info.features
    assert set(features) == {"id", "image", "label", "true_label", "is_clean"}

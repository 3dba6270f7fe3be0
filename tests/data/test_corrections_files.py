"""Files of corrections: which are read, and which refused."""

import csv
import io
import os

import numpy as np
import pytest

from mentormix_tf import InputError, files
from mentormix_tf.config import DataConfig
from mentormix_tf.data import corrections, splits, spreadsheet
from tests.support.corrected import decisions, read_by_tfds, text

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
    table = spreadsheet.rows(parts[1], "x", corrections.COLUMNS, ["verified"], above=1)
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

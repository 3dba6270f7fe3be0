"""CSV files as people and spreadsheets write them."""

import os

import pytest

from mentormix_tf import InputError
from mentormix_tf.data.sources import users_csv, users_own


@pytest.fixture
def folder(tmp_path):
    for name in "abcd":
        (tmp_path / f"{name}.png").write_bytes(name.encode())
    return tmp_path


def listing(folder, text, encoding="utf-8"):
    path = folder / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return users_csv.listing(str(path))


def rows(read):
    return {
        split: [(item.path.name, read.class_names[item.label]) for item in items]
        for split, items in read.items.items()
    }


ROWS = [("a.png", "caf\u00e9"), ("b.png", "tea")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_as_spreadsheets_write_it(folder, encoding, delimiter, line_end):
    table = [("Path", " label "), *ROWS, ()]
    text = line_end.join(delimiter.join(cells) for cells in table)
    assert rows(listing(folder, text, encoding)) == {"train": ROWS}


@pytest.mark.parametrize(
    ("word", "split"),
    [
        ("Test", "test"),
        ("test ", "test"),
        ("testing", "test"),
        ("valid", "validation"),
        ("Validation", "validation"),
        ("dev", "validation"),
    ],
)
def test_usual_words_for_splits(folder, word, split):
    read = listing(folder, f"path,label,split\na.png,x,Train\nb.png,y,{word}\n")
    assert rows(read) == {"train": [("a.png", "x")], split: [("b.png", "y")]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column path: it has ''"),
        ("path,class\na.png,1\n", "has no column label: it has 'path,class'"),
        ("path,label\n", "has no rows"),
        ("path,label\ngone.png,1\n", r"line 2: there is no image 'gone.png'"),
        ("path,label\n,1\n", "line 2: there is no image"),
        ("path,label\na.png,1\na.png, \n", "line 3: a.png has no label"),
        ("path,label,split\na.png,1,train\nb.png,1,tset\n", "line 3: split='tset' is unknown"),
        ("path,label,split\na.png,1,train\nb.png,1,\n", "line 3: split='' is unknown"),
        ("path,label,split\na.png,1,test\n", "no rows whose split is train"),
        ("path,label\na.png,1,2\n", "line 2, has 3 cells instead of 2"),
        ("path,label\na.png\n", "line 2, has 1 cells instead of 2"),
        ("path,label,label\na.png,1,2\n", "two columns label"),
        ('path,label\na.png,"1\nb.png,2\n', "can't be read: unexpected end of data"),
        ("path,label\na.png," + "9" * 200_000, "line 2, can't be read: field larger"),
        ("path,label\nc\0.png,1\n", r"there is no image|line contains NUL"),
        ("path,label\na.png,1\nb.png,caf\u00e9\n".encode("latin-1"), "not UTF-8 text in line 3"),
        (b"\xff\xfep\x00a\x00", "has no column path"),
        (b"\xff\xfep", "is not UTF-8 text in line 1"),
    ],
)
def test_refused(folder, text, message):
    with pytest.raises(InputError, match=message):
        listing(folder, text)


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_what_is_not_a_file_is_no_image(folder, kind):
    path = folder / "z.png"
    make = {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path)}
    make.get(kind, lambda: path.symlink_to("/dev/zero"))()
    with pytest.raises(InputError, match=r"line 3: there is no image 'z.png'"):
        listing(folder, "path,label\na.png,1\nz.png,1\n")


@pytest.mark.parametrize("make", ["mkdir", "mkfifo"])
def test_what_is_not_a_file_is_no_csv(tmp_path, make):
    getattr(os, make)(tmp_path / "labels.csv")
    with pytest.raises(InputError, match=r"labels.csv is not a file"):
        users_csv.listing(str(tmp_path / "labels.csv"))


def test_several_people_label_the_same_image(folder):
    text = "path,label\n" + "".join(
        f"{name}.png,{label}\n" for name in "abcd" for label in ("x", "y", "x")
    )
    read = users_own.load(listing(folder, text))
    ids = [*read.train.ids, *read.test.ids]
    assert len(set(ids)) == 12 and {"a.png", "a.png#2", "a.png#3"} <= set(ids)
    files = [{name.partition("#")[0] for name in part.ids} for part in (read.train, read.test)]
    assert not files[0] & files[1] and all(files)
    assert list(read.train.images)[:3] == [b"a"] * 3 or "a.png" in files[1]


def test_an_image_both_for_training_and_for_testing(folder):
    text = "path,label,split\na.png,x,train\n./a.png,y,test\n"
    with pytest.raises(InputError, match=r"a.png both for training and for testing"):
        users_own.load(listing(folder, text))


def test_an_image_that_vanishes_is_named(folder):
    read = users_own.load(listing(folder, "path,label\na.png,x\nb.png,y\n"))
    (folder / "a.png").unlink()
    with pytest.raises(InputError, match=r"a.png can't be read: No such file"):
        list(read.train.images)


@pytest.mark.parametrize("names", [["9", "10", "a", "\u00b2"], ["7", "0" * 5000 + "8", "x"]])
def test_numbers_come_first_in_their_order(folder, names):
    text = "path,label\n" + "".join(f"a.png,{name}\n" for name in reversed(names))
    assert listing(folder, text).class_names == sorted(names, key=names.index)


def test_labels_that_differ_in_blanks(folder):
    read = listing(folder, "path,label\na.png,x\nb.png, x\n")
    with pytest.raises(InputError, match="are both stored as 'x'"):
        users_own.load(read)


def test_a_changed_label_is_another_set(folder):
    one, same, other = (
        users_own.fingerprint(listing(folder, f"path,label,note\na.png,x,\nb.png,{label}\n"))
        for label in ("y,1", "y,2", "x,1")
    )
    assert one == same != other

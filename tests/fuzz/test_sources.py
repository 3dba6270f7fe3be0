"""Images, lists of images and lists of labels of the users' own, as they should not be."""

import itertools

import numpy as np
import pytest
from PIL import Image

from mentormix_tf.data.sources import users_csv
from tests.fuzz import bounded
from tests.support import commands

HEADERS = [
    "path,label",
    "path;label",
    "label\tpath",
    " Path , LABEL ",
    "path,label,split",
    "x,y",
    "",
]
ROWS = [
    "a.png,cat",
    "a.png;cat",
    "cat\ta.png",
    "a.png,cat,test",
    "a.png,cat,tset",
    "a.png",
    "a.png,",
    ",cat",
    "a.png,\u00b2",
    "a.png,b\u2028c",
    "a.png,\x1b[31mred",
    "a.png,\0",
    "/dev/zero,cat",
    ".,cat",
    "../../../etc/passwd,cat",
    "gone.png,cat",
    '"a.png,cat',
    "a.png,=1+1",
    "a.png," + "c" * 140_000,
    "\u202egnp.a,cat",
]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "latin-1"]
LABELS = [
    "",
    "null",
    "{}",
    "[]",
    "[[[]]]",
    "[" * 50_000,
    "0.5",
    "[0.7, 1, 0, 1]",
    "[true, 1, 0, 1]",
    "[0, 1, 0, 2]",
    "[0, 1, 0, -1]",
    "[0, 1, 0, 1e400]",
    '["0", "1", "0", "1"]',
    '{"0": 1}',
    "[NaN, 1, 0, 1]",
    f"[{10**400}, 1, 0, 1]",
    "[[0, 1], [1, 0]]",
    "[[0.5, 0.5], [2, -1]]",
    "\ufeff[0, 1, 0, 1]",
]
NAMES = [
    "tfds:",
    "tfds:../x",
    "tfds:\U0001f600",
    "tfds:mnist:99.0.0",
    "tfds:mnist/none",
    "tfds:no_such_set",
    "tfds:" + "n" * 300,
    "folder:",
    "folder:/no/such/folder",
    "folder:pets/cat",
    "folder:pets/cat/0.png",
    "folder:empty",
    "folder:" + "n" * 5000,
    "csv:",
    "csv:pets",
    "csv:/dev/null",
    "csv:pets/cat/0.png",
    "csv:" + "n" * 5000,
    "digits:x",
    "unknown",
    "",
]
SPLITS = ["train", "Training", "val", "test", "Testing", ".git", "__MACOSX", "cat", "dog ", " dog"]


@pytest.fixture
def pets(tmp_path):
    """A folder with a CSV file beside two classes of four images each."""
    for name in ("cat", "dog"):
        for i in range(4):
            picture(tmp_path / "pets" / name / f"{i}.png")
    picture(tmp_path / "a.png")
    (tmp_path / "empty").mkdir()
    return tmp_path


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(path)


def prepare(dataset, *flags):
    return ["prepare", f"--dataset={dataset}", "--data_dir=data", *flags]


def label_files(folder):
    for i, text in enumerate(LABELS):
        for suffix in ("json", "csv", "npy"):
            path = folder / f"labels{i}.{suffix}"
            path.write_text(text)
            for noise in ("from_file", "matrix"):
                yield prepare("folder:pets", f"--noise={noise}", f"--noise_file={path}")


def split_folders(folder):
    for i, names in enumerate(itertools.combinations(SPLITS, 2)):
        root = folder / f"splits{i}"
        for name in names:
            picture(root / name / "x" / "1.png")
            picture(root / name / "y" / "1.png")
        yield prepare(f"folder:{root}")


@pytest.mark.slow
def test_the_good_ones_are_prepared(pets):
    (pets / "list.csv").write_text("path,label\na.png,cat\na.png,dog\npets/dog/0.png,dog\n")
    (pets / "labels.json").write_text("[0, 1, 0, 1, 0, 1]")
    flags = ["--noise=from_file", "--noise_file=labels.json"]
    good = [prepare("folder:pets"), prepare("csv:list.csv"), prepare("folder:pets", *flags)]
    for status, _, error in commands.run(*good, cwd=pets):
        assert status == 0, error


@pytest.mark.slow
def test_some(pets):
    labels = list(label_files(pets))[::20]
    found = bounded.faults(*labels, *(prepare(n) for n in NAMES[::4]), cwd=pets)
    assert not found, "\n\n".join(found)


@pytest.mark.slow
def test_all(pets):
    asked = [*label_files(pets), *split_folders(pets), *map(prepare, NAMES)]
    found = bounded.faults(*asked, cwd=pets, seconds=60)
    assert not found, "\n\n".join(found)


@pytest.mark.slow
def test_one_class_is_prepared_but_not_trained_on(pets):
    (pets / "one").mkdir()
    (pets / "pets" / "cat").rename(pets / "one" / "cat")
    asked = prepare("folder:one"), ["train", *prepare("folder:one")[1:], "--image_size=8"]
    good, bad = commands.run(*asked, cwd=pets)
    assert good[0] == 0 and "Found 4 images of 1 classes" in good[1]
    assert bad[0] == 1 and "has one class, cat: training needs at least two." in bad[2]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_lists(pets, encoding):
    path = pets / "list.csv"
    for header, *rows in itertools.product(HEADERS, ROWS, ROWS[:5]):
        text = "\n".join([header, *rows])
        path.write_bytes(text.encode(encoding, "replace"))
        try:
            read = users_csv.listing(str(path))
        except users_csv.InputError as error:
            assert len(str(error).splitlines()) == 1 and str(error).endswith(".")
        else:
            assert [item.path for item in read.items["train"]]

"""Which files of a folder are images of which class and split."""

import os

import pytest

from mentormix_tf import InputError
from mentormix_tf.data.sources import users_folder, users_own


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def listing(root):
    return users_folder.listing(str(root))


def found(root):
    """Paths below the root by split and class."""
    read = listing(root)
    return {
        split: {(read.class_names[i.label], str(i.path.relative_to(root))) for i in items}
        for split, items in read.items.items()
    }


@pytest.mark.parametrize(
    ("train", "test", "split"),
    [
        ("train", "valid", "validation"),
        ("Training", "Testing", "test"),
        ("TRAIN", "Val", "validation"),
        ("train", "dev", "validation"),
        ("train ", "test", "test"),
    ],
)
def test_usual_names_of_splits(tmp_path, train, test, split):
    touch(tmp_path, f"{train}/cat/1.png", f"{train}/dog/2.png", f"{test}/cat/3.png")
    assert found(tmp_path) == {
        "train": {("cat", f"{train}/cat/1.png"), ("dog", f"{train}/dog/2.png")},
        split: {("cat", f"{test}/cat/3.png")},
    }


def test_a_train_is_a_class_among_other_vehicles(tmp_path):
    touch(tmp_path, "train/1.png", "bus/2.png", "test/3.png")
    assert listing(tmp_path).class_names == ["bus", "test", "train"]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["train/cat/1.png", "valid/cat/2.png", "more/3.png"], "beside them more: move"),
        (["train/cat/1.png", "training/cat/2.png"], "train and training, which are both a train"),
        (["val/cat/1.png", "test/cat/2.png"], "has test, val but no train"),
        (["train/1.png", "test/2.png"], "train has no folders"),
        (["train/cat/1.png", "test/eel/2.png"], "has the class eel"),
        (["cat/1.png", "dog/notes.txt"], "dog has no images"),
        (["cat/1.png", ".dog/1.png", "eel/.ipynb_checkpoints/1.png"], "eel has no images"),
        ([".ipynb_checkpoints/1.png", "__MACOSX/cat/1.png"], "has no folders"),
    ],
)
def test_refused(tmp_path, paths, message):
    touch(tmp_path, *paths)
    with pytest.raises(InputError, match=message):
        listing(tmp_path)


def test_hidden_files_are_not_read(tmp_path):
    touch(tmp_path, "cat/1.png", "cat/._1.png", "cat/.ipynb_checkpoints/1-checkpoint.png")
    touch(tmp_path, "dog/2.JFIF", "dog/3.tif", ".cache/4.png", "__MACOSX/cat/._1.png")
    assert found(tmp_path) == {
        "train": {("cat", "cat/1.png"), ("dog", "dog/2.JFIF"), ("dog", "dog/3.tif")}
    }
    assert listing(tmp_path).left_out == []


def test_links_are_followed_and_loops_end(tmp_path):
    touch(tmp_path, "elsewhere/1.png", "pets/cat/0.png", "pets/dog/2.png")
    (tmp_path / "pets" / "cat" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "pets" / "dog" / "again").symlink_to(tmp_path / "pets" / "dog")
    assert found(tmp_path / "pets")["train"] == {
        ("cat", "cat/0.png"),
        ("cat", "cat/more/1.png"),
        ("dog", "dog/2.png"),
    }


def test_what_is_left_out_is_counted(tmp_path, caplog):
    touch(tmp_path, "cat/1.png", "cat/2.avif", "cat/3.AVIF", "cat/notes", "dog/1.png", "dog/2.png")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "cat" / "gone.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "cat" / "endless.png").symlink_to("/dev/zero")
    (tmp_path / "cat" / "folder.png").mkdir()
    with caplog.at_level("INFO", "mentormix_tf"):
        users_own.load(listing(tmp_path))
    assert "Found 3 images of 2 classes in " in caplog.text and "cat (1), dog (2)" in caplog.text
    assert (
        "2 .avif files, 1 files without a suffix, 3 links to nothing, pipes or devices"
        in caplog.text
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a", " a"),
        ("caf\u00e9", "cafe\u0301"),
        ("a", "a\u3000"),
        ("b\nc", "d"),
        ("b\u2028c", "d"),
        ("b\x85c", "d"),
        ("b\x1b[31m", "d"),
        (" ", "d"),
        (b"\xff".decode(errors="surrogateescape"), "d"),
    ],
)
def test_class_names_that_cannot_be_stored(tmp_path, first, second):
    touch(tmp_path, f"{first}/1.png", f"{second}/2.png")
    with pytest.raises(InputError, match=r"[Cc]lass|is not UTF-8"):
        users_own.load(listing(tmp_path))


def test_blanks_around_class_names_are_removed(tmp_path):
    touch(tmp_path, "cat /1.png", " dog/2.png")
    assert users_own.load(listing(tmp_path)).class_names == ["dog", "cat"]


def test_a_file_whose_name_is_not_utf8(tmp_path):
    name = b"\xff.png".decode(errors="surrogateescape")
    touch(tmp_path, f"cat/{name}", "dog/1.png")
    with pytest.raises(InputError, match="is not UTF-8: rename"):
        users_own.load(listing(tmp_path))


def test_the_fingerprint_is_of_the_set_alone(tmp_path):
    touch(tmp_path, "pets/cat/1.png", "pets/dog/2.png")
    pets = tmp_path / "pets"
    first = users_own.fingerprint(listing(pets))
    touch(pets, ".data/x", "cat/notes.txt", "dog/.hidden.png")
    assert users_own.fingerprint(listing(pets)) == first
    (pets / "cat" / "1.png").write_bytes(b"y")
    assert users_own.fingerprint(listing(pets)) != first


def test_a_small_class_is_tested_too(tmp_path):
    touch(tmp_path, *(f"many/{i}.png" for i in range(400)), "few/1.png", "few/2.png")
    read = users_own.load(listing(tmp_path))
    assert read.test.labels.tolist().count(0) == 1 and read.test.labels.tolist().count(1) == 80


def test_test_images_are_those_of_test_and_validation_is_said_to_be_left_out(tmp_path, caplog):
    touch(tmp_path, "train/a/1.png", "train/b/2.png", "val/a/3.png", "test/a/4.png")
    read = users_own.load(listing(tmp_path))
    assert read.test.ids == ["test/a/4.png"] and "1 images of the validation split" in caplog.text

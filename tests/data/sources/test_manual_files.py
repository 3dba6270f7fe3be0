"""Lists of images from elsewhere: what is read, and what is refused."""

import os

import pytest
from etils import epath

from mentormix_tf import InputError
from mentormix_tf.data.sources import manual_files


def written(tmp_path, content):
    path = epath.Path(tmp_path) / "list.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_lists(tmp_path):
    path = written(tmp_path, "class_name/key\tlabel\r\na/1.jpg\t1\r\n\r\na b/2.jpg\t0\r\n")
    names, labels = manual_files.read_list(path, 2, "class_name")
    assert names == ["a/1.jpg", "a b/2.jpg"] and labels.tolist() == [1, 0]
    path = written(tmp_path, "a/1.jpg\n  a/..2.jpg \n\n")
    assert manual_files.read_names(path) == ["a/1.jpg", "a/..2.jpg"]
    assert manual_files.read_class_names(written(tmp_path, "a\nb c\n"), 2, "x") == ["a", "b c"]


def test_only_the_first_line_is_a_header(tmp_path):
    path = written(tmp_path, "key\nkey\n")
    assert manual_files.read_names(path, "key") == ["key"]
    assert manual_files.read_names(written(tmp_path, "a\nkey\n"), "key") == ["a", "key"]


@pytest.mark.parametrize("name", ["../a.jpg", "a/../../b.jpg", "/etc/passwd", "a\0.jpg", "a" * 256])
def test_names_that_are_no_files_of_the_folder(tmp_path, name):
    for read, line in [
        (manual_files.read_names, name),
        (lambda path: manual_files.read_list(path, 2), f"{name} 1"),
    ]:
        path = written(tmp_path, f"a.jpg 0\n{line}\n")
        with pytest.raises(InputError, match=r"lists .* in line 2, which is not the path of a"):
            read(path)


@pytest.mark.parametrize("label", ["2", "-1", "1.0", "", "x", "\u0661", "9" * 5000, "0x1"])
def test_labels_that_are_no_classes(tmp_path, label):
    path = written(tmp_path, f"a.jpg 0\nb.jpg {label}\n")
    with pytest.raises(InputError, match=r"has 'b\.jpg.* in line 2: .* from 0 to 1 are") as error:
        manual_files.read_list(path, 2)
    assert len(str(error.value)) < 500


def test_names_are_listed_once(tmp_path):
    with pytest.raises(InputError, match=r"lists a\.jpg again in line 3"):
        manual_files.read_names(written(tmp_path, "a.jpg\nb.jpg\na.jpg\n"))


@pytest.mark.parametrize("read", [manual_files.read_names, lambda p: manual_files.read_list(p, 2)])
def test_lists_that_cannot_be_read(tmp_path, read):
    with pytest.raises(InputError, match=r"list\.txt can't be read \('utf-8' codec"):
        read(written(tmp_path, b"\xff\xfe\n"))
    os.remove(tmp_path / "list.txt")
    os.mkfifo(tmp_path / "list.txt")
    with pytest.raises(InputError, match=r"list\.txt can't be read \(It is not a regular file\)"):
        read(epath.Path(tmp_path) / "list.txt")


@pytest.mark.parametrize("text", ["", "a\n", "a\nb\nc\n"])
def test_numbers_of_classes(tmp_path, text):
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=r"instead of one for each of 2 classes: .* the page\."):
        manual_files.read_class_names(path, 2, "the page")


def test_images_are_required_and_read(tmp_path):
    folder = epath.Path(tmp_path)
    (folder / "a").mkdir()
    (folder / "a" / "1.jpg").write_bytes(b"one")
    (folder / "2.jpg").mkdir()
    manual_files.require_images("x", folder, ["a/1.jpg"], "the page")
    with pytest.raises(InputError, match=r"x lacks 2 of 3 .*, the first is b/1\.jpg: .*page"):
        manual_files.require_images("x", folder, ["a/1.jpg", "b/1.jpg", "a/2.jpg"], "the page")
    assert list(manual_files.read_bytes(folder, ["a/1.jpg"])) == [b"one"]
    with pytest.raises(InputError, match=r"2\.jpg can't be read: Is a directory\."):
        list(manual_files.read_bytes(folder, ["2.jpg"]))

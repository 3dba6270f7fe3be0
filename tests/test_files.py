"""Files are replaced as a whole and read as they were written; errors name them; locks exclude."""

import csv
import os
import pwd
import signal
import threading

import pytest
from etils import epath

from mentormix_tf import InputError, files

ROWS = [{"name": 'a "b", c', "value": 1.5}, {"name": "two\nlines", "value": None}]


def test_contents_are_stored_as_they_are(tmp_path):
    for contents in ("λ\r\nπ\n", b"\xff\x00"):
        files.write(tmp_path / "file", contents)
        expected = contents.encode("utf-8") if isinstance(contents, str) else contents
        assert (tmp_path / "file").read_bytes() == expected
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_kill_between_writing_and_renaming_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    files.write(path, "old")
    child = os.fork()
    if child == 0:
        type(epath.Path(path)).replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        files.write(path, "new")
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert path.read_text() == "old"
    assert (tmp_path / "file.partial").read_text() == "new"
    files.write(path, "newer")
    assert path.read_text() == "newer"
    assert [left.name for left in tmp_path.iterdir()] == ["file"]


def test_what_cannot_be_written_is_named(tmp_path):
    with pytest.raises(InputError, match=r"missing/file can't be written: No such file"):
        files.write(tmp_path / "missing" / "file", "")


def test_errors_of_remote_file_systems_are_named(tmp_path, monkeypatch):
    class Unreachable(Exception):  # not an OSError, as TensorFlow's errors are not
        pass

    def fail(*_):
        raise Unreachable("the bucket is gone")

    monkeypatch.setattr(type(epath.Path(tmp_path)), "replace", fail)
    with pytest.raises(InputError, match=r"file can't be written: the bucket is gone\.$"):
        files.write(tmp_path / "file", "")


def test_a_new_folder_is_whole_or_missing(tmp_path):
    with files.new_folder(tmp_path / "1") as folder:
        folder.mkdir()
        (folder / "file").write_text("whole")
        assert not (tmp_path / "1").exists()
    assert (tmp_path / "1" / "file").read_text() == "whole"
    with pytest.raises(ZeroDivisionError), files.new_folder(tmp_path / "2") as folder:
        folder.mkdir()
        (folder / "file").write_text("half")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_csv_is_read_as_it_was_written(tmp_path, line_end):
    path = tmp_path / "table.csv"
    files.write_csv(path, ROWS, line_end)
    expected = ["name,value", '"a ""b"", c",1.5', '"two\nlines",', ""]
    assert path.read_bytes().decode() == line_end.join(expected)
    with path.open(newline="") as file:
        assert files.read_csv(path) == list(csv.DictReader(file))
    assert [row["name"] for row in files.read_csv(path)] == [row["name"] for row in ROWS]
    assert [row["value"] for row in files.read_csv(path)] == ["1.5", ""]


def test_a_table_without_rows(tmp_path):
    files.write_csv(tmp_path / "table.csv", [])
    assert files.read_csv(tmp_path / "table.csv") == []


def test_csv_text():
    assert files.csv_text([["a", None], [1, "x,y"]], "\r\n") == 'a,\r\n1,"x,y"\r\n'


def test_a_column_that_the_header_lacks_is_not_dropped(tmp_path):
    with pytest.raises(ValueError, match="more"):
        files.write_csv(tmp_path / "table.csv", [{"a": 1}, {"a": 1, "more": 2}])
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "half.json").write_text('{"steps": ')
    (tmp_path / "latin.csv").write_bytes(b"\xe9t\xe9")
    for read, name, message in (
        (files.read_json, "missing.json", r"missing\.json can't be read: No such file"),
        (files.read_json, "half.json", r"half\.json is not valid JSON \(Expecting"),
        (files.read_csv, "missing.csv", r"missing\.csv can't be read: No such file"),
        (files.read_csv, "latin.csv", r"latin\.csv can't be read: 'utf-8' codec"),
    ):
        with pytest.raises(InputError, match=message):
            read(tmp_path / name)


def test_a_lock_that_is_held_is_refused_or_waited_for(tmp_path):
    entered, order = threading.Event(), []

    def wait():
        entered.set()
        with files.lock(tmp_path):
            order.append("waited")

    thread = threading.Thread(target=wait)
    with files.lock(tmp_path):
        with pytest.raises(InputError, match=r"^in use$"), files.lock(tmp_path, "in use"):
            order.append("never")
        thread.start()
        entered.wait()
        thread.join(0.2)
        assert thread.is_alive()
        order.append("held")
    thread.join(10)
    assert order == ["held", "waited"]
    with files.lock(tmp_path, "in use"):  # free again
        pass


def test_an_error_inside_releases_the_lock(tmp_path):
    with pytest.raises(ZeroDivisionError), files.lock(tmp_path):
        raise ZeroDivisionError
    with files.lock(tmp_path, "in use"):
        pass


def test_nothing_is_locked_where_there_are_no_locks(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError("no locks available")

    monkeypatch.setattr(files.fcntl, "flock", unsupported)
    for folder in (tmp_path, "gs://bucket/run"):
        with files.lock(folder, "in use"):
            pass


@pytest.mark.parametrize("cell", ["=1+1", "+x", "-a.png", "@x", "\t=1", "'=1+1", "''-x", "＝1"])
def test_a_formula_is_shown_as_text_and_read_as_it_was(tmp_path, cell):
    files.write_csv(tmp_path / "a.csv", [{cell: cell, "n": -0.5}])
    with (tmp_path / "a.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert [text[0] for text in cells] == ["'", "n", "'", "-"]
    assert files.read_csv(tmp_path / "a.csv") == [{cell: cell, "n": "-0.5"}]


@pytest.mark.parametrize("cell", ["-0.5", "+1", "-inf", "'quoted'", "a=b", "-1e-9"])
def test_numbers_and_other_text_stay_as_they_are(cell):
    assert files.csv_text([[cell]]) == f"{cell}\n"


@pytest.mark.parametrize(
    "text", ["a,b\n1\n", "a,b\n1,2,3\n", 'a,b\n"1' + "x" * 200_000, "a\0\n1\n"]
)
def test_damaged_csv_files(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    try:
        rows = files.read_csv(tmp_path / "a.csv")
    except InputError as error:
        assert "a.csv" in str(error)
    else:
        assert rows == [{"a\0": "1"}]


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\ud800"])
def test_damaged_json_files(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(InputError, match=r"a.json is not valid JSON"):
        files.read_json(tmp_path / "a.json")


@pytest.fixture
def nobody(monkeypatch):
    """A process whose user has no name and no home, and so has none of its files an owner."""

    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_size_of_a_file_whose_owner_has_no_name(tmp_path, nobody):
    (tmp_path / "file").write_bytes(b"123")
    assert files.size(tmp_path / "file") == 3


@pytest.mark.parametrize("path", ["~", "~/data", "~nobodyhere/data"])
def test_there_is_no_home_folder(nobody, path):
    with pytest.raises(InputError, match=rf"^data_dir={path} needs a home folder, .* whole path"):
        files.expanded(path, "data_dir")


def test_home_folders(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert str(files.expanded("~/data", "data_dir")) == "/home/me/data"


@pytest.mark.parametrize("path", ["a\0b", "http://host/data", "nosuch://data"])
def test_paths_that_no_file_can_have(path):
    with pytest.raises(InputError, match=r"^data_dir="):
        files.expanded(path, "data_dir")


def test_remote_storage_that_does_not_answer(monkeypatch):
    bucket = files.expanded("gs://bucket/data", "data_dir")
    monkeypatch.setattr(type(bucket), "exists", lambda _: threading.Event().wait(60))
    with pytest.raises(InputError, match=r"bucket/data can't be reached: no answer within 0.1 s"):
        files.exists(bucket, "data_dir", seconds=0.1)


def test_remote_storage_that_is_not_supported():
    with pytest.raises(InputError, match=r"^data_dir: s3://bucket can't be reached: .*'s3' not"):
        files.exists(files.expanded("s3://bucket", "data_dir"), "data_dir")

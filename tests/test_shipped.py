"""Files that are installed with the package are found by name, behind the user's own."""

import pathlib

import pytest

from mentormix_tf import shipped

SHIPPED = pathlib.Path(shipped.__file__).parent


@pytest.mark.parametrize("name", ["flags/cifar10/symmetric_40.flags", "studies/digits.yaml"])
def test_a_users_file_hides_the_shipped_one(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped.find(name) == shipped.find(pathlib.Path(name)) == SHIPPED / name
    assert shipped.find(name, folder=tmp_path) == SHIPPED / name
    own = tmp_path / name
    own.parent.mkdir(parents=True)
    own.write_text("")
    assert shipped.find(name).samefile(own)
    monkeypatch.chdir("/")
    assert shipped.find(name, folder=tmp_path) == own


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert shipped.find("~/mine.flags") == tmp_path / "mine.flags"


@pytest.mark.parametrize(
    "path",
    ["", "x" * 1000, "digits.yaml", "flags", "flags/none.flags", "__init__.py", "flags/README.md"],
)
def test_other_paths_stay_as_they_are(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shipped.find(path) == pathlib.Path(path)
    assert shipped.find(path, folder="runs") == pathlib.Path("runs", path)

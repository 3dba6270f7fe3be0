"""Damaged splits: each is trained on, evaluated and verified, or refused in a sentence."""

import json
import shutil

import pytest

from mentormix_tf.config import DataConfig
from mentormix_tf.data import splits
from tests.fuzz import bounded
from tests.support import commands

TRAIN = ["train", "--train_steps=2", "--eval_every=2", "--batch_size=16"]
TEXTS = [b"", b"[]", b"{}", b"null", b'{"a": ', b"\xff\xfe\xff", b"[" * 100_000, b"\0" * 1000, b"1"]
VALUES = [None, [], {}, "", "../x", -1, 1e308, 10**30, True, float("nan"), [[]] * 3, {"a": {}}]


def changed(contents):
    """Yields versions of a JSON object in which one key is missing or has another value."""
    for key in contents:
        yield {name: value for name, value in contents.items() if name != key}
        yield from ({**contents, key: value} for value in VALUES)


def damaged(digits, other, root):
    """Makes data_dirs with the digits split, one file of which is damaged; returns their paths."""
    made = []

    def copy():
        data_dir = root / str(len(made))
        path = data_dir / digits.path.relative_to(digits.path.parents[2])
        shutil.copytree(digits.path, path)
        made.append(data_dir)
        return path

    for name in sorted(file.name for file in digits.path.iterdir()):
        contents = (digits.path / name).read_bytes()
        (copy() / name).unlink()
        shutil.copy(other.path / name, copy() / name)
        for text in (*TEXTS, contents[: len(contents) // 2], contents + b"x", contents[::-1]):
            (copy() / name).write_bytes(text)
        path = copy()
        (path / name).unlink()
        (path / name).mkdir()
        if name.endswith(".json"):
            for version in changed(json.loads(contents)):
                (copy() / name).write_text(json.dumps(version))
    return made


@pytest.fixture
def made(digits, data_dir, tmp_path):
    other = splits.prepare(DataConfig(data_dir=data_dir, noise_seed=1))
    return damaged(digits, other, tmp_path / "made")


@pytest.mark.slow
def test_train_and_verify(made, tmp_path):
    asked = [[*TRAIN, f"--data_dir={path}"] for path in made[::100]]
    asked += [["verify", f"--data_dir={path}"] for path in made[::40]]
    assert not bounded.faults(*asked, cwd=tmp_path)


@pytest.mark.slow
def test_the_split_itself_is_good(data_dir, tmp_path):
    train = [*TRAIN, f"--data_dir={data_dir}", "--model_dir=run"]
    ended = commands.run(
        train, ["verify", f"--data_dir={data_dir}"], ["evaluate", "--model_dir=run"], cwd=tmp_path
    )
    assert [status for status, _, _ in ended] == [0, 0, 0]


@pytest.mark.slow
def test_every_damage(made, data_dir, tmp_path):
    commands.run([*TRAIN, f"--data_dir={data_dir}", "--model_dir=run"], cwd=tmp_path)
    asked = [[*TRAIN, f"--data_dir={path}"] for path in made]
    asked += [["verify", f"--data_dir={path}"] for path in made]
    asked += [["evaluate", "--model_dir=run", f"--data_dir={path}"] for path in made]
    assert not bounded.faults(*asked, cwd=tmp_path)

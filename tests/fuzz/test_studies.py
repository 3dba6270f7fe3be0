"""Study files: whatever is in one, the command ends with one sentence."""

import itertools
import os

import pytest

from tests.fuzz import bounded
from tests.support import commands

GOOD = "data: {dataset: digits}\nmethods: {vanilla: }\n"
VALUES = [
    "",
    "0",
    "-1",
    "1.5",
    "1e400",
    "nan",
    ".nan",
    ".inf",
    "true",
    "no",
    "~",
    "''",
    "010",
    "0x10",
    "1:30",
    "2026-01-02",
    "9" * 5000,
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    "[~]",
    "{a: b}",
    "[1, 1]",
    "[nan, 0.4]",
    "{1: 2}",
    "{~: ~}",
    "{[a]: b}",
    "{level: 0.4}",
    "[{level: ~}]",
    "x" * 5000,
    "../../x",
    '"\\e[2J\\0"',
    '"\\ud800"',
    "\U0001f600",
    "&a [*a]",
    "*a",
    "!!binary é",
    "!!int x",
    "!!set {a, b}",
    "!!omap [a: 1, a: 2]",
    "!!python/name:os.system",
    "!!python/object/apply:os.system ['false']",
    "|\n  text\n",
    "%TAG",
    "@x",
    "`x`",
    "[" * 3000,
    "{a: " * 3000,
    "[" + "0, " * 20_000 + "]",
]
KEYS = ["title", "training", "data", "methods", "seeds", "tune", "unknown"]
INNER = [
    "data: {{dataset: {}}}\nmethods: {{vanilla: }}",
    "data: {{noise: {}}}\nmethods: {{vanilla: }}",
    "data: {{noise_level: {}}}\nmethods: {{vanilla: }}",
    "data: {{noise_file: {}}}\nmethods: {{vanilla: }}",
    "data: {{dataset: cifar10_n, level: {}}}\nmethods: {{vanilla: }}",
    "data: {{dataset: digits}}\nmethods: {{mixup: {{alpha: {}}}}}",
    "data: {{dataset: digits}}\nmethods: {{mixup: [{{level: {}}}]}}",
    "data: {{dataset: digits}}\nmethods: {{vanilla: }}\nseeds: [{}]",
    "data: {{dataset: digits}}\nmethods: {{vanilla: }}\ntraining: {{network: {}}}",
    "data: {{dataset: digits}}\nmethods: {{vanilla: }}\ntraining: {{learning_rate: {}}}",
    "data: {{dataset: digits}}\nmethods: {{mixup: }}\ntune: {{levels: [{}]}}",
    "data: {{dataset: digits}}\nmethods: {{mixup: }}\n"
    "tune: {{levels: [0.4], settings: {{mixup: {{alpha: {}}}}}}}",
]
ALIASES = "\n".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}' if i else 'x'] * 9)}]" for i in range(10)
)
WHOLE = [
    b"",
    b"---\n---\n",
    (GOOD + "---\n" + GOOD).encode(),
    ALIASES.encode(),
    b"\xff\xfe",
    b"\0" * 100,
    os.urandom(1000),
    GOOD.encode("utf-16"),
    GOOD.encode("utf-16-le"),
    GOOD.encode("utf-32"),
    (GOOD + "title: Müller").encode("latin-1"),
    GOOD.encode() + b"#" * 10_000_000,
    b"a" * 10_000_000,
    b"- " * 49_000,
    b"? " * 49_000,
    b"a:\n" * 20_000,
    b"".join(b"k%d: 1\n" % i for i in range(9000)),
    b"data: {noise_seed: [" + b"0," * 40_000 + b"]}\nmethods: {vanilla: }",
    (
        "data: {"
        + ", ".join(f"{key}: [{'0,' * 999}]" for key in ("noise_seed", "noise_level", "dataset"))
        + "}\nmethods: {vanilla: }"
    ).encode(),
]


def texts():
    yield from WHOLE
    for key, value in itertools.product(KEYS, VALUES):
        yield ("" if key in ("data", "methods") else GOOD).encode() + f"{key}: {value}".encode()
    for form, value in itertools.product(INNER, VALUES):
        yield form.format(value).encode()


def studies(folder, contents):
    for i, content in enumerate(contents):
        (folder / f"{i}.yaml").write_bytes(content)
        yield ["study", f"{i}.yaml", "--notrain"]


def test_a_good_one_lacks_only_runs(tmp_path):
    [(status, _, error)] = commands.run(*studies(tmp_path, [GOOD.encode()]), cwd=tmp_path)
    assert status == 1 and error == "error: study_dir=runs/0 has no finished run.\n"


@pytest.mark.slow
def test_some(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    asked = [["study", name, "--notrain"] for name in ("pipe.yaml", ".", "/dev/zero", "n" * 5000)]
    asked += studies(tmp_path, [*WHOLE[:4], *list(texts())[len(WHOLE) :: 97]])
    assert not bounded.faults(*asked, cwd=tmp_path, seconds=60)


@pytest.mark.slow
def test_all(tmp_path):
    asked = [*WHOLE, *list(texts())[len(WHOLE) :: 3]]  # each key and each value several times
    found = bounded.faults(*studies(tmp_path, asked), cwd=tmp_path, seconds=60)
    assert not found, "\n\n".join(found)

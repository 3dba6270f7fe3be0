"""Only the files that this package writes are read; all others are refused in a sentence."""

import json
import os

import pytest

from mentormix_tf import InputError
from mentormix_tf.data import metadata, prepared

TEXT = "tensorflow_datasets.core.features.text_feature.Text"


def change(path, name, *keys, value):
    """Changes one value of a JSON file."""
    contents = json.loads((path / name).read_text())
    part = contents
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    (path / name).write_text(json.dumps(contents))


def test_a_class_of_another_module_is_not_imported(copy, monkeypatch):
    path, _ = copy
    (path.parent / "evil.py").write_text("raise SystemExit('it ran')")
    monkeypatch.syspath_prepend(str(path.parent))
    change(
        path, "features.json", "featuresDict", "features", "id", "pythonClassName", value="evil.X"
    )
    with pytest.raises(InputError, match=r"features.json has the class 'evil.X' for id"):
        prepared.load(path)


FEATURES = ("features.json", "featuresDict", "features")
FOREIGN = [
    (("features.json", "pythonClassName"), TEXT),
    ((*FEATURES, "id"), {"python_class_name": "evil.X", "text": {}}),
    ((*FEATURES, "id", "python_class_name"), "evil.X"),
    ((*FEATURES, "more"), {"pythonClassName": TEXT, "text": {}}),
    ((*FEATURES, "image"), {"pythonClassName": "evil.X", "jsonFeature": {"json": "{}"}}),
    ((*FEATURES, "image", "image", "shape", "dimensions"), ["1000000000", "8", "1"]),
    ((*FEATURES, "image", "image", "shape", "dimensions"), []),
    ((*FEATURES, "label", "classLabel", "numClasses"), "1000000000000"),
    ((*FEATURES, "label", "classLabel", "numClasses"), "11"),
    ((*FEATURES, "label", "classLabel", "numClasses"), "9" * 5000),
    (("dataset_info.json", "features"), {"pythonClassName": "evil.X", "text": {}}),
    (("dataset_info.json", "fileFormat"), "array_record"),
    (("dataset_info.json", "moduleName"), "evil"),
    (("dataset_info.json", "name"), "../../mnist"),
    (("dataset_info.json", "version"), "1.0.0-../.."),
    (("dataset_info.json", "splits", 0, "name"), "../train"),
    (("dataset_info.json", "splits", 0, "name"), "test"),
    (("dataset_info.json", "splits", 0, "filepathTemplate"), "/etc/{SHARD_X_OF_Y}"),
    (("dataset_info.json", "splits", 0, "filepathPrefix"), "/etc"),
    (("dataset_info.json", "splits", 0, "shardLengths"), ["1000000000000"]),
    (("dataset_info.json", "splits", 0, "shardLengths"), ["1437", "0"]),
    (("dataset_info.json", "splits", 0, "shardLengths"), ["-1"]),
    (("dataset_info.json", "splits", 0, "numBytes"), "-5"),
    (("dataset_info.json", "splits"), {}),
    (("manifest.json", "files"), {"../x": 1}),
    (("manifest.json", "files"), {}),
    (("manifest.json", "files"), []),
    (("manifest.json", "num_examples"), {"train": 10**15}),
    (("manifest.json", "num_examples"), {"train": True}),
    (("manifest.json", "realized_noise_rate"), float("nan")),
    (("manifest.json", "realized_noise_rate"), "0.4"),
    (("manifest.json", "noise_level"), -1),
    (("manifest.json", "noise"), 7),
    (("manifest.json", "split_sha256"), "abc"),
    (("manifest.json", "split_sha256"), None),
    (("manifest.json", "label_names"), ["cat"] * 10),
    (("manifest.json", "label_names"), 3),
    (("manifest.json", "fingerprints"), {"a": "b"}),
    (("manifest.json", "fingerprints"), None),
]


@pytest.mark.parametrize(("where", "value"), FOREIGN)
def test_other_contents(copy, where, value):
    path, _ = copy
    change(path, *where, value=value)
    with pytest.raises(InputError, match=r"prepare it again\.$") as raised:
        prepared.load(path)
    assert len(str(raised.value)) < 1000


FILES = ("manifest.json", "features.json", "dataset_info.json")
CONTENTS = [
    b"",
    b"[]",
    b"{}",
    b"null",
    b'{"a": ',
    b"\xff\xfe\xff",
    b"[" * 100_000,
    b'"text"',
    b"1e999",
]


@pytest.mark.parametrize("name", FILES)
def test_other_files(copy, name):
    path, _ = copy
    for contents in CONTENTS:
        (path / name).write_bytes(contents)
        with pytest.raises(InputError, match=rf"{name} .* prepare it again\.$"):
            metadata.read(path)
    (path / name).unlink()
    with pytest.raises(InputError, match=rf"{name} can't be read \(No such file"):
        metadata.read(path)
    (path / name).mkdir()
    with pytest.raises(InputError, match=rf"{name} can't be read \(Is a directory"):
        metadata.read(path)
    (path / name).rmdir()
    os.mkfifo(path / name)  # which would wait for its writer
    with pytest.raises(InputError, match=rf"{name} can't be read \(It is not a regular file"):
        metadata.read(path)


def test_lost_names_of_classes(copy):
    path, _ = copy
    names = path / "label.labels.txt"
    names.write_text("\n".join("0123456798"))
    with pytest.raises(InputError, match=r"label.labels.txt has 10 names that are not those"):
        prepared.load(path)
    names.unlink()
    with pytest.raises(InputError, match=r"label.labels.txt, .* can't be read .*: restore it"):
        prepared.load(path)

"""A run's JSON files after somebody has edited them."""

import json

import pytest

from mentormix_tf import InputError
from mentormix_tf.runs import contents

MODEL = {
    "class_names": ["cat", "dog"],
    "image_shape": [8, 8, 1],
    "stored_image_shape": [None, None, 1],
    "augmentation": "none",
    "split_sha256": "0a",
    "realized_noise_rate": None,
}
RESULT = {
    "method": "mentormix",
    "steps": 20,
    "peak_accuracy": 0.9,
    "final_accuracy": 0.8,
    "accuracy_drop": 0.1,
    "images_per_second": None,
    "realized_noise_rate": 0.4,
    "split_sha256": "0a",
    "device": "one CPU",
    "versions": {"keras": "3"},
}


@pytest.mark.parametrize(("read", "good"), [(contents.model, MODEL), (contents.result, RESULT)])
def test_what_a_run_writes_is_read(tmp_path, read, good):
    (tmp_path / "a.json").write_text(json.dumps(good))
    assert read(tmp_path / "a.json") == good


@pytest.mark.parametrize(
    ("read", "good", "entry"),
    [
        *((contents.model, MODEL, name) for name in MODEL if name != "realized_noise_rate"),
        *((contents.result, RESULT, name) for name in RESULT),
    ],
)
def test_entries_of_another_kind(tmp_path, read, good, entry):
    path = tmp_path / "a.json"
    for value in [True, [1], {"a": 1}, [[]], [1, 2, True], float("inf"), ["a", "a"]]:
        path.write_text(json.dumps({**good, entry: value}))
        with pytest.raises(InputError, match=rf"a\.json has {entry}=.* restore it"):
            read(path)
    path.write_text(json.dumps({name: good[name] for name in good if name != entry}))
    with pytest.raises(InputError, match=rf"a\.json lacks {entry}"):
        read(path)


@pytest.mark.parametrize("text", ["[]", "null", "1", '"a"', "{", "", "[" * 99_999, "\xff"])
@pytest.mark.parametrize("read", [contents.model, contents.result])
def test_files_of_another_shape(tmp_path, read, text):
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"a\.json is not"):
        read(tmp_path / "a.json")

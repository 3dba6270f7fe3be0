"""ANIMAL-10N, read from a tiny one in the official layout."""

import shutil

import numpy as np
import pytest

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig
from mentormix_tf.data import splits, verify
from mentormix_tf.data.sources import animal10n
from tests.support import official_layouts
from tests.support.corrected import by_id


@pytest.fixture
def animals(tmp_path):
    return official_layouts.write_animal10n(tmp_path) / "animal10n"


def test_animal10n(tmp_path, animals):
    (animals / "training" / ".DS_Store").write_bytes(b"x")
    made = splits.prepare(DataConfig(dataset="animal10n", data_dir=str(tmp_path)))
    assert verify.examine(made.builder, made.manifest).problems == []
    for split, folder, count in (("train", "training", 48), ("test", "testing", 8)):
        rows = by_id(made, split)
        assert len(rows) == count
        assert set(rows) == {path.name for path in (animals / folder).glob("*.jpg")}
        for name, row in rows.items():
            label = int(name[0])
            known = (-1, -1) if split == "train" else (label, 1)
            assert (row["label"], row["true_label"], row["is_clean"]) == (label, *known)
            image = official_layouts.decoded(animals / folder / name)
            np.testing.assert_array_equal(row["image"], image)
    assert made.class_names[:2] == ["cat", "lynx"] and made.class_names[9] == "guinea pig"
    assert made.manifest["noise"] == "human" and made.manifest["realized_noise_rate"] is None


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("training", "needs training in"),
        ("testing", "needs testing in"),
        ("training/0_3.jpg", "training has 47 images instead of 48: download it again by hand"),
        ("testing/0_4.jpg", "testing has 7 images instead of 8: download it again by hand"),
    ],
)
def test_missing_files_are_named(tmp_path, animals, missing, words):
    path = animals / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(InputError) as error:
        animal10n.load("human", None, str(tmp_path), "")
    for word in (words, str(animals), "https://dm.kaist.ac.kr/datasets/animal-10n/"):
        assert word in str(error.value)


@pytest.mark.parametrize(
    "name", ["10_1.jpg", "cat_1.jpg", "1.jpg", "notes.txt", "\u0661_1.jpg", "0_a"]
)
def test_other_files_are_refused(tmp_path, animals, name):
    (animals / "training" / name).write_bytes(b"x")
    with pytest.raises(InputError, match=f"training has '{name}', which is not named like an im"):
        animal10n.load("human", None, str(tmp_path), "")


def test_a_file_instead_of_a_folder(tmp_path, animals):
    shutil.rmtree(animals / "testing")
    (animals / "testing").write_bytes(b"PK")
    with pytest.raises(InputError, match="testing has 0 images instead of 8"):
        animal10n.load("human", None, str(tmp_path), "")

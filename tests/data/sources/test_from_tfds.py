"""Data sets of TFDS in all the shapes that they have, made here instead of downloaded."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from mentormix_tf import InputError
from mentormix_tf.data import splits
from mentormix_tf.data.sources import from_tfds

FEATURES = {
    "image": tfds.features.Image(shape=(4, 4, 3)),
    "label": tfds.features.ClassLabel(names=["cat", "dog"]),
}
ROWS = [{"image": np.full((4, 4, 3), i, np.uint8), "label": i % 2} for i in range(10)]


@pytest.fixture
def make(tmp_path):
    """Registers a data set `made_here` with these features and rows by split."""

    def make(features, **rows):
        class MadeHere(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")
            pkg_dir_path = tmp_path

            def _info(self):
                return tfds.core.DatasetInfo(
                    builder=self, features=tfds.features.FeaturesDict(features)
                )

            def _split_generators(self, dl_manager):
                return {split: enumerate(rows[split]) for split in rows}

            def _generate_examples(self):
                raise NotImplementedError

        return str(tmp_path / "data")

    yield make
    tfds.core.registered._DATASET_REGISTRY.pop("made_here", None)


def load(data_dir):
    return from_tfds.load("none", None, data_dir, "made_here")


def test_a_set_with_a_train_split_only_is_cut(make):
    source = load(make(FEATURES, train=ROWS))
    assert len(source.train.ids) == 8
    assert sorted(source.test.labels) == [0, 1]
    assert not set(source.train.ids) & set(source.test.ids)
    images = {i: image for i, image in zip(source.test.ids, source.test.images, strict=True)}
    assert len(images) == 2


def test_a_test_split_without_labels_is_not_one(make, caplog):
    unlabeled = [{**row, "label": -1} for row in ROWS]
    source = load(make(FEATURES, train=ROWS, test=unlabeled, validation=ROWS[:3]))
    assert len(source.train.ids) == 10 and len(source.test.ids) == 3
    assert "Left out 10 images of test without a label" in caplog.text


def test_training_images_without_labels_are_left_out(make):
    unlabeled = [{**row, "label": -1} for row in ROWS]
    source = load(make(FEATURES, train=[*ROWS, *unlabeled], test=unlabeled))
    assert len(source.train.ids) == 8 and source.train.labels.min() == 0


@pytest.mark.parametrize("ids", ["text", "number", "doubled"])
def test_ids(make, ids):
    kind = np.int64 if ids == "number" else tfds.features.Text()
    own = {"text": "n{}", "number": "{}", "doubled": "same"}[ids]
    rows = [{**row, "id": own.format(i)} for i, row in enumerate(ROWS)]
    if ids == "number":
        rows = [{**row, "id": int(row["id"])} for row in rows]
    source = load(make({**FEATURES, "id": kind}, train=rows, test=rows))
    assert len(set(source.train.ids)) == 10
    if ids != "doubled":
        assert set(source.train.ids) == {own.format(i) for i in range(10)}


@pytest.mark.parametrize(
    ("features", "row", "message"),
    [
        ({"label": FEATURES["label"]}, {"label": 0}, "has the features label"),
        ({**FEATURES, "label": np.int64}, ROWS[0], "a label|label .ClassLabel. are needed"),
        (
            {**FEATURES, "image": tfds.features.Image(shape=(4, 4, 1), dtype=np.uint16)},
            {"image": np.zeros((4, 4, 1), np.uint16), "label": 0},
            "has images of",
        ),
    ],
)
def test_sets_that_are_not_for_image_classification(make, features, row, message):
    with pytest.raises(InputError, match=message):
        load(make(features, train=[row]))


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "\U0001f600",
        "",
        "MNIST",
        "mnist:99.0.0",
        "mnist/nothing",
        "a:b:c",
        "hf:mnist",
        "n" * 300,
    ],
)
def test_names_that_tfds_does_not_have(tmp_path, name):
    with pytest.raises(InputError, match=r"dataset="):
        from_tfds.prepared(name, str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_code_named_by_files_is_not_imported(tmp_path):
    folder = tmp_path / "unknown_set" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "features.json").write_text('{"pythonClassName": "this.Zen"}')
    (folder / "dataset_info.json").write_text('{"name": "unknown_set", "version": "1.0.0"}')
    with pytest.raises(InputError, match="unknown_set is not a data set"):
        from_tfds.prepared("unknown_set", str(tmp_path))


def test_none_is_a_kind_of_noise_for_every_labeled_set(make):
    data_dir = make(FEATURES, train=ROWS)
    made = splits.load_split("tfds:made_here", noise="none", data_dir=data_dir)
    assert made.manifest["realized_noise_rate"] == 0.0

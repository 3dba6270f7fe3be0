"""Labels of several people: which one is trained on, and what is kept of their disagreement."""

import collections
import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

import mentormix_tf as mm
from mentormix_tf import InputError
from mentormix_tf.config import DataConfig
from mentormix_tf.data import annotators, prepared, splits, verify
from mentormix_tf.data.examples import OF_ANNOTATORS
from tests.support.picture_files import encode
from tests.support.written_run import write_run

NAMES = ("ant", "bee", "cat")
# Labels of each image, and its true label.
VOTES = {
    "a": ("bee", "bee", "ant", ""),
    "b": ("cat", "cat", "cat", "cat"),
    "c": ("ant", "bee", "cat", "bee"),
    "d": ("ant", "bee", "bee", "ant", ""),
    "e": ("ant", ""),
    "f": ("cat", "bee", "cat", "bee"),
}


def counts(votes):
    return collections.Counter(votes).most_common()


def test_majority_and_its_ties():
    random = np.random.RandomState(0)
    votes = [random.randint(4, size=random.randint(1, 6)).tolist() for _ in range(2000)]
    chosen = annotators.majority(votes, seed=0)
    for own, label in zip(votes, chosen.tolist(), strict=True):
        assert own.count(label) == counts(own)[0][1]
    assert chosen.tolist() == annotators.majority(votes, seed=0).tolist()
    tied = annotators.majority([[2, 0, 2, 0, 1]] * 2000, seed=1)
    assert set(tied.tolist()) == {0, 2} and abs((tied == 0).mean() - 0.5) < 0.05
    assert (annotators.majority([[2, 0, 2, 0, 1]] * 2000, seed=2) != tied).any()


def test_one_is_drawn_as_often_as_people_gave_it():
    drawn = annotators.drawn([[3, 3, 3, 1]] * 4000, seed=0)
    assert set(drawn.tolist()) == {1, 3} and abs((drawn == 3).mean() - 0.75) < 0.03
    assert (annotators.drawn([[3, 3, 3, 1]] * 4000, seed=1) != drawn).any()


def test_disagreement_counts_the_others():
    votes = [[0, 0, 1], [2], [0, 1, 2, 1]]
    assert annotators.disagreeing(votes, np.array([0, 2, 0])).tolist() == [1, 0, 3]
    assert annotators.disagreeing(votes, np.array([2, 1, 1])).tolist() == [3, 1, 2]


@pytest.fixture
def config(tmp_path):
    """A CSV file with a row for each label, and an image of every class to test on."""
    random = np.random.RandomState(0)
    rows = []
    for name, (*votes, true) in VOTES.items():
        rows += [(f"{name}.png", vote, true, "train") for vote in votes]
    rows += [(f"test_{i}.png", name, "", "test") for i, name in enumerate(NAMES)]
    rows += [("test_0.png", "cat", "", "test"), ("test_1.png", "cat", "cat", "test")]
    for name in {row[0] for row in rows}:
        (tmp_path / name).write_bytes(encode(random.randint(256, size=(8, 8, 3)), "png"))
    order = random.permutation(len(rows))  # rows of an image need not be together
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("path", "label", "true_label", "split"), *(rows[i] for i in order)]
        )
    dataset = f"csv:{tmp_path / 'labels.csv'}"
    data_dir = str(tmp_path / "data")
    return DataConfig(dataset=dataset, noise="annotators_majority", data_dir=data_dir)


def read(split, part="train"):
    rows = split.builder.as_dataset(
        split=part, decoders={"image": tfds.decode.SkipDecoding()}
    ).as_numpy_iterator()
    return {row["id"].decode().removesuffix(".png"): row for row in rows}


def described(row):
    names = ["?", *NAMES]
    return (
        names[row["label"] + 1],
        names[row["true_label"] + 1],
        *(int(row[name]) for name in ("is_clean", "annotators", "disagreeing")),
    )


def test_a_split_has_each_image_once_with_its_disagreement(config):
    split = splits.prepare(config)
    rows = {name: described(row) for name, row in read(split).items()}
    assert rows.keys() == VOTES.keys()
    assert rows["a"] == ("bee", "?", -1, 3, 1)
    assert rows["b"] == ("cat", "cat", 1, 3, 0)
    assert rows["e"] == ("ant", "?", -1, 1, 0)
    label, true, clean, *people = rows["f"]
    assert (label, true, clean, people) == ("cat", "bee", 0, [3, 1])
    label, true, clean, *people = rows["c"]  # a tie of three
    assert (true, clean, people) == ("bee", int(label == "bee"), [3, 2])
    assert rows["d"][0] in ("ant", "bee") and rows["d"][1:] == ("?", -1, 4, 2)
    share = np.mean([1 / 3, 0, 2 / 3, 2 / 4, 0, 1 / 3])
    assert split.manifest["mean_disagreement"] == pytest.approx(share)
    assert f"disagreement {share:.2%} of people's labels" in split.text()
    tests = {name: described(row) for name, row in read(split, "test").items()}
    # What is not known of test images is assumed: the true label, then the first of the majority.
    assert tests["test_0"] == ("ant", "ant", 1, 2, 1)
    assert tests["test_1"][1:] == ("cat", 0, 2, 1)
    assert tests["test_2"] == ("cat", "cat", 1, 1, 0)


def test_seeds_break_ties_and_draw(config):
    def labels(noise, seed):
        split = splits.prepare(dataclasses.replace(config, noise=noise, noise_seed=seed))
        return {name: NAMES[row["label"]] for name, row in read(split).items()}

    for noise in ("annotators_majority", "annotators_drawn"):
        found = [labels(noise, seed) for seed in range(5)]
        assert {each["b"] for each in found} == {"cat"}
        assert len({each["c"] for each in found}) > 1
        assert all(each[name] in VOTES[name][:-1] for each in found for name in each)
    assert len({each["a"] for each in found}) == 2


def test_batches_verification_and_damage(config, data_dir, tmp_path):
    split = splits.prepare(config)
    columns = ("image", "label", *OF_ANNOTATORS)
    [batch] = split.batches("train", 6, image_size=8, columns=columns).take(1)
    expected = [int(row["disagreeing"]) for row in read(split).values()]
    assert sorted(batch["disagreeing"].numpy()) == sorted(expected)
    digits = splits.prepare(DataConfig(data_dir=data_dir))
    [batch] = digits.batches("test", 10, columns=columns).take(1)
    assert set(batch["annotators"].numpy()) == {-1}

    assert verify.examine(split.builder, split.manifest).problems == []
    lied = {**split.manifest, "mean_disagreement": 0.5}
    [problem] = verify.examine(split.builder, lied).problems
    assert "but the manifest has 0.5" in problem
    copy = tmp_path / "copy"
    shutil.copytree(split.path, copy)
    for value in (None, 2, "many"):
        manifest = {**split.manifest, "mean_disagreement": value}
        if value is None:
            del manifest["mean_disagreement"]
        (copy / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(InputError, match="is not a prepared split"):
            prepared.read(copy)


def test_corrections_count_anew(config, tmp_path):
    split = splits.prepare(config)
    path = tmp_path / "corrections.csv"
    path.write_text(
        f"# split_sha256={split.manifest['split_sha256']}\nid,decision,label\na.png,relabel,ant\n"
    )
    corrected = splits.prepare(dataclasses.replace(config, corrections=str(path)))
    assert described(read(corrected)["a"]) == ("ant", "?", -1, 3, 2)
    assert verify.examine(corrected.builder, corrected.manifest).problems == []


def test_an_audit_tells_of_disagreement(config, tmp_path):
    write_run(tmp_path / "run", config, image_size=8, batch_size=4)
    report = mm.open_run(tmp_path / "run").audit()
    rows = {row["id"]: row for row in report.rows()}
    assert (rows["d.png"]["annotators"], rows["d.png"]["disagreeing"]) == (4, 2)


def test_several_truths_are_refused(config, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("path,label,true_label\na.png,ant,ant\nb.png,bee,\na.png,bee,cat\n")
    with pytest.raises(InputError, match=r"a\.png has the true labels ant and cat: leave one"):
        splits.prepare(config)


def test_only_csv_files_have_annotators():
    with pytest.raises(InputError, match="noise=annotators_drawn is unknown for dataset=digits"):
        splits.resolve(DataConfig(noise="annotators_drawn"))

"""Weights of examples from a person's file: reading it, and what training does with it."""

import os
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from mentormix_tf import InputError, files
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.data import augment, examples_file, pipeline, splits
from mentormix_tf.data.examples import MEMORY
from mentormix_tf.methods.vanilla import Vanilla
from mentormix_tf.training.run import run
from tests.support import commands

PLAIN = augment.AUGMENTATIONS["none"]
TIERS = {"memory": MEMORY, "streamed": 0}


def ids_of(data, split="train"):
    builder: Any = tfds.builder_from_directory(data.path)
    return sorted(e["id"].decode() for e in builder.as_dataset(split=split).as_numpy_iterator())


@pytest.fixture
def weighted(tmp_path, data_dir):
    """Digits with a file of the given text."""

    def prepare(text, name="w.csv", **settings):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return splits.prepare(
            DataConfig(**{"data_dir": data_dir, "examples_file": str(path), **settings})
        )

    return prepare


def batches(data, tier, columns=("image", "label", "id", "index"), steps=11, **settings):
    made = pipeline.train_batches(
        data, 128, 0, PLAIN, data.image_shape, memory=TIERS[tier], columns=columns, **settings
    )
    return list(made.take(steps).as_numpy_iterator())


@pytest.mark.slow
@pytest.mark.parametrize("tier", TIERS)
def test_left_out_and_weighted_by_id(digits, weighted, tier):
    ids = ids_of(digits)
    dropped, factors = set(ids[::5]), {each: i % 7 / 2 for i, each in enumerate(ids)}
    rows = [f"{each},{factors[each]},{int(each not in dropped)}" for each in reversed(ids)]
    data = weighted("\n".join(["id,weight,keep", *rows]))
    assert data.path == digits.path and data.num_examples("train") == 1437
    assert data.steps_per_epoch(128) == (1437 - len(dropped)) // 128 == 8
    columns = ("image", "label", "id", "index", "example_weight")
    seen = [
        (identifier.decode(), float(weight), index, label)
        for batch in batches(data, tier, columns, steps=8)
        for identifier, weight, index, label in zip(
            *(batch[name] for name in ("id", "example_weight", "index", "label")), strict=True
        )
    ]
    assert len({each for each, *_ in seen}) == 8 * 128
    assert not dropped & {each for each, *_ in seen}
    assert all(weight == factors[each] for each, weight, *_ in seen)
    # The other columns belong to the same example, at its place in the whole split.
    whole = {
        identifier.decode(): (index, label)
        for batch in batches(digits, tier)
        for identifier, index, label in zip(
            batch["id"], batch["index"], batch["label"], strict=True
        )
    }
    assert all(whole[each] == (index, label) for each, _, index, label in seen if each in whole)
    tail = batches(data, tier, columns, steps=4, start_step=10)
    for one, other in zip(batches(data, tier, columns, steps=14)[10:], tail, strict=True):
        np.testing.assert_array_equal(one["id"], other["id"])


@pytest.mark.parametrize("tier", TIERS)
def test_all_one_is_as_without_the_file(digits, weighted, tier):
    rows = "".join(f"{each},1,1,0\n" for each in ids_of(digits))
    data = weighted(f"id,weight,keep,start\n{rows}")
    assert data.weights is None and data.kept is None and data.starts is None
    for one, other in zip(batches(data, tier), batches(digits, tier), strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_forms_of_files(digits, weighted, tmp_path):
    first, second, *_ = ids_of(digits)
    sha256 = digits.manifest["split_sha256"]
    forms = [
        f"# split_sha256={sha256}\nid,weight,keep,start\n{first},0.5,,0.25\n{second},,0,\n",
        f'\ufeff"# split_sha256={sha256}";;;\r\nStart;ID;keep;weight\r\n'
        f"2.5e-1;{first};;0.5\r\n;{second};0;\r\n",
        f"id\tweight\tkeep\tcomment\tstart\n{second}\t1\tFALSE\tx\t0.0\n{first}\t.5\tTRUE\t\t.25\n",
    ]
    made = [weighted(form) for form in forms]
    arrays = {"id": np.array([first, second]), "weight": [0.5, 1.0], "keep": [True, False]}
    np.savez(tmp_path / "w.npz", start=np.array([0.25, 0], np.float32), **arrays)
    made.append(weighted((tmp_path / "w.npz").read_bytes(), "w.npz"))
    for data in made:
        np.testing.assert_array_equal(data.weights, made[0].weights)
        np.testing.assert_array_equal(data.kept, made[0].kept)
        np.testing.assert_array_equal(data.starts, made[0].starts)
    assert (made[0].weights != 1).sum() == 1 and (~made[0].kept).sum() == 1
    np.testing.assert_array_equal(made[0].starts, np.where(made[0].weights != 1, 0.25, 0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column id"),
        ("id,weight\n", "has no rows"),
        ("id,weight\ngone,1\n", "line 2, has id='gone', which is not in train"),
        ("id,weight\nFIRST,1\nFIRST,1\n", "line 3, has id=.* as line 2 has: remove one"),
        ("id,weight\nFIRST,-1\n", "line 2, has weight='-1': write a finite number"),
        ("id,weight\nFIRST,nan\n", "has weight='nan'"),
        ("id,weight\nFIRST,inf\n", "has weight='inf'"),
        ("id,weight\nFIRST,1e39\n", "has weight='1e39'"),
        ("id,weight\nFIRST,much\n", "has weight='much'"),
        ("id,keep\nFIRST,2\n", "has keep='2': write 0 or 1"),
        ("id,start\nFIRST,1\n", "line 2, has start='1': write a share of training"),
        ("id,start\nFIRST,-0.1\n", "has start='-0.1'"),
        ("id,start\nFIRST,nan\n", "has start='nan'"),
        ("id,start\nFIRST,late\n", "has start='late'"),
        (f"# split_sha256={'0' * 64}\nid,keep\nFIRST,0\n", "is for the split 00000000, but"),
    ],
)
def test_bad_files(digits, weighted, text, message):
    with pytest.raises(InputError, match=rf"^examples_file=.*w.csv.*{message}.*\.$"):
        weighted(text.replace("FIRST", ids_of(digits)[0]))


def test_bad_archives(digits, weighted, tmp_path):
    ids = np.array(ids_of(digits)[:2])
    cases = [
        (dict(weight=[1.0]), "has no array id"),
        (dict(id=ids, weight=[1.0]), "has the array weight of the shape"),
        (dict(id=ids, weight=["a", "b"]), "it needs 2 numbers"),
        (dict(id=[1, 2]), "it needs 2 texts"),
        (dict(id=np.array(ids, object)), "can't be read: Object arrays cannot be loaded"),
        (dict(id=ids, weight=[1.0, np.nan]), "position 1, has weight='nan'"),
        (dict(id=ids, start=[0.5, 1.0]), "position 1, has start='1.0'"),
        (dict(id=ids, start=["0", "0"]), "has the array start of the shape .* it needs 2 numbers"),
    ]
    for arrays, message in cases:
        np.savez(tmp_path / "w.npz", **arrays)
        with pytest.raises(InputError, match=message):
            weighted((tmp_path / "w.npz").read_bytes(), "w.npz")
    with pytest.raises(InputError, match=r"w.npz can't be read"):
        weighted(b"garbage", "w.npz")


def test_nothing_left(digits, weighted):
    for column in ("keep", "weight"):
        with pytest.raises(InputError, match="leaves nothing to train on"):
            weighted(f"id,{column}\n" + "".join(f"{each},0\n" for each in ids_of(digits)))


def test_nothing_to_begin_with(digits, weighted):
    ids = ids_of(digits)
    rows = [f"{each},0.5,1\n" for each in ids]
    with pytest.raises(
        InputError, match=r"w.csv leaves nothing to train on at first: .*start=0\.$"
    ):
        weighted("id,start,keep\n" + "".join(rows))
    rows[0] = f"{ids[0]},0,0\n"  # it is left out
    with pytest.raises(InputError, match="leaves nothing to train on at first"):
        weighted("id,start,keep\n" + "".join(rows))
    rows[0] = f"{ids[0]},0,1\n"
    assert (weighted("id,start,keep\n" + "".join(rows)).starts == 0).sum() == 1


def test_too_many_starts(digits, weighted):
    rows = [f"{each},{i / 1000}\n" for i, each in enumerate(ids_of(digits)[:101])]
    assert len(np.unique(weighted("id,start\n" + "".join(rows[:100])).starts)) == 100
    with pytest.raises(InputError, match=r"w.csv has 101 different values of start: round them"):
        weighted("id,start\n" + "".join(rows))


def test_what_is_no_file(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, problem in [("gone", "does not exist"), ("folder", "not a file"), ("pipe", "not a")]:
        with pytest.raises(InputError, match=f"examples_file=.*{problem}"):
            examples_file.checked_path(str(tmp_path / name))


def test_the_loss_is_the_weighted_sum_over_the_size_of_the_batch():
    random = np.random.RandomState(0)
    images, labels = random.normal(size=(6, 4)).astype(np.float32), random.randint(3, size=6)
    factors = np.array([0, 0.5, 1, 2, 3, 0.25], np.float32)
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    kernel, bias = (np.asarray(w, np.float64) for w in network.get_weights())
    logits = images @ kernel + bias
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gradient = images.T @ (factors[:, None] * (p - np.eye(3)[labels])) / 6
    model = Vanilla(network, num_classes=3)
    model.compile(keras.optimizers.SGD(1.0))
    batch = {"image": images, "label": labels, "example_weight": factors}
    history = model.fit(tf.data.Dataset.from_tensors(batch), epochs=1, verbose=0)
    np.testing.assert_allclose(network.get_weights()[0], kernel - gradient, atol=1e-5)
    expected = np.mean(factors * -np.log(p[np.arange(6), labels]))
    assert history.history["loss"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_a_run_belongs_to_the_contents_of_its_file(digits, tmp_path, data_dir):
    path, ids = tmp_path / "w.csv", ids_of(digits)

    def train(name, steps=2, examples=str(path), **settings):
        config = RunConfig(
            data=DataConfig(data_dir=data_dir, examples_file=examples),
            training=TrainingConfig(train_steps=steps, eval_every=2, batch_size=16),
            method="mentormix",
            **settings,
        )
        return run(config, OutputConfig(str(tmp_path / name)))

    def losses(name):
        [*_, row] = files.read_csv(tmp_path / name / "metrics.csv")
        return {k: v for k, v in row.items() if not ("second" in k or "wait" in k)}

    train("plain", examples="")
    path.write_text("id,weight,keep\n" + "".join(f"{each},1,1\n" for each in ids))
    train("ones")
    assert losses("ones") == losses("plain")
    path.write_text("id,weight\n" + "".join(f"{each},{i % 3}\n" for i, each in enumerate(ids)))
    train("other")
    assert losses("other") != losses("plain")
    train("other", steps=4)  # the same file: it goes on
    path.write_text(f"id,keep\n{ids[0]},0\n")
    with pytest.raises(InputError, match="holds a run with other contents of its examples_file"):
        train("other", steps=6)


@pytest.mark.slow
def test_replicas_weight_as_one_device_does(digits, tmp_path, data_dir):
    """Each gives the examples of its half of a batch their own weights; without BatchNorm."""
    random = np.random.RandomState(0)
    lines = [f"{each},{random.randint(4)},{random.randint(5) > 0:d}\n" for each in ids_of(digits)]
    (tmp_path / "w.csv").write_text("id,weight,keep\n" + "".join(lines))
    layers = [keras.layers.Rescaling(1 / 16), keras.layers.Flatten(), keras.layers.Dense(10)]
    keras.Sequential([keras.layers.Input((8, 8, 1)), *layers]).save(tmp_path / "plain.keras")
    short = ("--train_steps=10", "--eval_every=5", "--batch_size=32", "--network=plain.keras")
    flags = ("--method=vanilla", "--examples_file=w.csv", f"--data_dir={data_dir}", *short)
    two = ("--strategy=mirrored", "--num_virtual_devices=2")
    done = commands.run(
        ("train", *flags, "--model_dir=one"), ("train", *flags, *two, "--model_dir=two"),
        ("train", "--method=vanilla", f"--data_dir={data_dir}", *short, "--model_dir=plain"),
        cwd=tmp_path,
    )  # fmt: skip
    assert [status for status, *_ in done] == [0, 0, 0], done
    rows = {name: files.read_csv(tmp_path / name / "metrics.csv") for name in ("one", "two")}
    plain = files.read_csv(tmp_path / "plain" / "metrics.csv")
    for one, other, without in zip(rows["one"], rows["two"], plain, strict=True):
        for name in ("loss", "test_loss"):
            assert float(other[name]) == pytest.approx(float(one[name]), rel=1e-4)
        assert float(without["loss"]) != pytest.approx(float(one["loss"]), rel=1e-2)

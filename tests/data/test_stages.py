"""Stages of training: their epochs against a walk step by step, and the batches drawn in them."""

import dataclasses
import itertools
import types

import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError, npz
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.data import augment, examples, pipeline, stages
from mentormix_tf.training.run import run

PLAIN = augment.AUGMENTATIONS["none"]
TIERS = {"decoded": 2**30, "streamed": 0}
STEPS, COUNT = 20, 1437
STARTS = (0.0, 0.31, 0.5, 0.95)  # from steps 0, 7, 10 and 19 of 20 on


def split(count, starts, kept=None):
    """Stands in for a split with so many training examples."""
    return types.SimpleNamespace(
        num_examples=lambda name: count,
        starts=np.asarray(starts),
        kept=kept,
        examples_name="examples_file=w",
    )


@pytest.fixture(scope="module")
def started(digits):
    """Digits of which some begin later, and every ninth is left out."""
    starts = np.random.RandomState(0).choice(STARTS, COUNT, p=(0.3, 0.2, 0.3, 0.2))
    kept = np.arange(COUNT) % 9 > 0
    return dataclasses.replace(digits, starts=starts, kept=kept, examples_name="examples_file=w")


def taken(data, steps=24, start_step=0, batch_size=128, how=PLAIN, memory=2**30, **settings):
    columns = (*examples.COLUMNS, "index", "id")
    made = pipeline.train_batches(
        data, batch_size, 3, how, (8, 8, 1), start_step, memory, columns, train_steps=STEPS,
        **settings,
    )  # fmt: skip
    return list(made.take(steps - start_step).as_numpy_iterator())


@pytest.mark.parametrize("seed", range(5))
def test_epochs_are_those_of_a_walk_step_by_step(seed):
    random = np.random.RandomState(seed)
    train_steps, count, batch = random.randint(5, 60), 50, random.randint(1, 8)
    starts = random.choice(
        [0, 0.1, 0.11, 0.5, 0.77, 0.999], count, p=[0.3, 0.1, 0.2, 0.1, 0.2, 0.1]
    )
    kept = random.uniform(size=count) < 0.9
    plan = stages.of(split(count, starts, kept), batch, train_steps)
    epoch, within, begun, first = -1, 0, None, 0
    firsts, lengths = {}, {}
    for step in range(150):
        now = kept & (starts <= step / train_steps)
        if begun is None or (now != begun).any() or within == begun.sum() // batch:
            epoch, within, begun, first = epoch + 1, 0, now, step
        assert plan.located(step) == (epoch, within)
        np.testing.assert_array_equal(plan.begins <= first, begun)
        firsts[epoch] = first
        within += 1
        lengths[epoch] = within
    for each in range(epoch):  # the last one may be cut off by the end of the walk
        number = tf.constant(each, tf.int64)
        assert plan.first_step(number).numpy() == firsts[each]
        assert plan.num_steps(number).numpy() == lengths[each]


def test_an_example_begins_with_the_first_step_that_has_its_share():
    for train_steps in (1, 3, 10, 49, 100, 300, 1000):
        shares = np.arange(train_steps) / train_steps
        for digits, each in itertools.product((2, 3, 17), shares):
            start = float(f"{each:.{digits}g}")
            plan = stages.of(split(2, [0, start]), 1, train_steps)
            expected = next((i for i, share in enumerate(shares) if share >= start), train_steps)
            assert plan.begins.tolist() == [0, expected]
    assert stages.of(split(2, [0, 0.29]), 1, 100).begins.tolist() == [0, 29]
    assert stages.of(split(2, [0, 0.07]), 1, 100).begins.tolist() == [0, 7]


@pytest.mark.slow
@pytest.mark.parametrize("tier", TIERS)
def test_only_what_has_begun_takes_part(started, digits, tier):
    batches = taken(started, 40, memory=TIERS[tier])
    stored = list(digits.builder.as_dataset(split="train").as_numpy_iterator())
    epochs = []  # the positions of each, by the sets that they were drawn from
    for step, batch in enumerate(batches):
        index = batch["index"]
        assert len(set(index)) == 128
        assert started.kept[index].all() and (started.starts[index] <= step / STEPS).all()
        begun = int((started.kept & (started.starts <= step / STEPS)).sum())
        if not epochs or epochs[-1][0] != begun or len(epochs[-1][1]) == begun // 128 * 128:
            epochs.append((begun, []))
        epochs[-1][1].extend(index)
        for i, position in enumerate(index):
            assert batch["id"][i] == stored[position]["id"]
            assert batch["label"][i] == stored[position]["label"]
            np.testing.assert_array_equal(batch["image"][i], stored[position]["image"])
    assert all(len(set(seen)) == len(seen) for _, seen in epochs)
    orders = [tuple(seen[:128]) for _, seen in epochs]
    assert len(set(orders)) == len(orders)
    # Those that begin with a step are there from it on, and in their share of the places.
    for step, start in zip((7, 10, 19), STARTS[1:], strict=True):
        begun = started.starts[started.kept & (started.starts <= start)]
        new = started.starts[batches[step]["index"]] == start
        assert new.sum() == pytest.approx(128 * (begun == start).mean(), abs=24)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tier", "start_steps"),
    [("decoded", [1, 6, 7, 8, 10, 19, 23]), ("streamed", [6, 8])],
)
def test_stream_from_a_step_is_the_tail(started, tier, start_steps):
    settings = dict(how=augment.AUGMENTATIONS["cifar_standard"], memory=TIERS[tier])
    whole = taken(started, 26, **settings)
    for start_step in start_steps:
        tail = taken(started, start_step + 3, start_step, **settings)
        for one, other in zip(whole[start_step : start_step + 3], tail, strict=True):
            for name in one:
                np.testing.assert_array_equal(one[name], other[name])


def test_hosts_and_replicas_share_the_global_batches(started):
    contexts = [tf.distribute.InputContext(2, host, 4) for host in (0, 1)]
    parts = [iter(taken(started, 2 * STEPS, context=context)) for context in contexts]
    for batch in taken(started, STEPS):
        joined = [next(part) for part in parts for _ in range(2)]
        for name in ("id", "index", "label", "image"):
            np.testing.assert_array_equal(np.concatenate([e[name] for e in joined]), batch[name])
    with pytest.raises(InputError, match="examples_file=w must not have keep=0 or start where"):
        taken(started, memory=0, context=contexts[0])


@pytest.mark.parametrize(
    ("tier", "every", "first", "later"),
    [
        ("decoded", 0, [12, 90, 195, 345], [778, 1396, 408, 693]),
        ("streamed", 0, [418, 402, 618, 771], [745, 1207, 129, 1102]),
        ("decoded", 5, [112, 489, 193, 488], [1216, 1097, 1232, 1408]),
        ("streamed", 5, [2, 46, 567, 1064], [357, 351, 1429, 1203]),
    ],
)
def test_without_starts_the_order_stays_that_of_earlier_versions(digits, tier, every, first, later):
    """Runs that they began go on with these batches."""
    data = dataclasses.replace(digits, kept=np.arange(COUNT) % every > 0) if every else digits
    made = pipeline.train_batches(
        data, 128, 7, PLAIN, (8, 8, 1), 5, TIERS[tier], ("image", "label", "index")
    )
    *_, last = batches = list(made.take(20).as_numpy_iterator())
    assert batches[0]["index"][:4].tolist() == first and last["index"][:4].tolist() == later


def test_too_few_examples_at_first(started):
    few = int((started.kept & (started.starts == 0)).sum())
    stages.of(started, few, STEPS)
    with pytest.raises(InputError, match=rf"^examples_file=w has {few} .*batch_size={few + 1}: "):
        stages.of(started, few + 1, STEPS)
    with pytest.raises(InputError, match=r"batch_size=1400 is larger than .* 1277 examples"):
        stages.of(started, 1400, STEPS)


def test_programs_tell_the_number_of_steps(started):
    with pytest.raises(InputError, match=r"^examples_file=w has a column start.*train_steps\.$"):
        started.batches("train", 128)
    assert started.steps_per_epoch(128) == 1277 // 128
    first = next(iter(started.batches("train", 128, columns=("image", "index"), train_steps=9)))
    assert (started.starts[first["index"].numpy()] == 0).all()
    started.batches("test", 128)


def test_what_an_audit_counts(digits, data_dir, tmp_path):
    """A run's batches follow the file, and the method knows which examples it sees."""
    ids = [each.decode() for each in examples.columns(digits, "train", ["id"])["id"]]
    later = np.arange(COUNT) % 3 > 0
    rows = [f"{each},{0.5 * begins}\n" for each, begins in zip(ids, later, strict=True)]
    (tmp_path / "w.csv").write_text("id,start\n" + "".join(rows))
    data = DataConfig(data_dir=data_dir, examples_file=str(tmp_path / "w.csv"))
    training = TrainingConfig(train_steps=20, eval_every=20, batch_size=64, audit=True)
    run(RunConfig(data, training, "vanilla"), OutputConfig(str(tmp_path / "run")))
    count = npz.arrays((tmp_path / "run" / "examples.npz").read_bytes(), 2**30)["count"]
    assert count.sum(axis=0).tolist() == [640, 640]
    assert not count[later, 0].any() and set(count[~later, 0]) == {0, 1, 2}
    assert set(count[:, 1]) == {0, 1} and count[later, 1].sum() > 300

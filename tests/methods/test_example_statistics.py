"""The statistics of an audit, against NumPy; recording them changes nothing else."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import methods
from mentormix_tf.methods import example_statistics
from mentormix_tf.methods.batch import Batch
from mentormix_tf.methods.example_statistics import ExampleStatistics
from mentormix_tf.methods.watch import Watch

CLASSES, EXAMPLES, BATCH = 4, 10, 6
WITH_A_FIRST_PASS = ("mentormix", "dynamic_bootstrap")


def steps(count=40, seed=0):
    """Batches of (index, labels, logits, λ, v, is_early); the first half of them is early."""
    random = np.random.RandomState(seed)
    labels = random.randint(CLASSES, size=EXAMPLES)
    for i in range(count):
        index = random.randint(EXAMPLES, size=BATCH)  # often twice in a batch
        logits = random.normal(size=(BATCH, CLASSES)).astype(np.float32)
        lam, v = random.uniform(size=(2, BATCH)).astype(np.float32)
        yield index, labels[index], logits, lam, v, i < count // 2


def expected(batches, is_mixed):
    """What `ExampleStatistics.read` should return, by NumPy in float64, one example at a time."""
    seen = {(example, half): [] for example in range(EXAMPLES) for half in (0, 1)}
    agreements = {example: [] for example in range(EXAMPLES)}
    for index, labels, logits, lam, v, is_early in batches:
        for row in range(BATCH):
            example = index[row]
            if example in index[:row] or (is_mixed and lam[row] < 0.5):
                continue
            values = logits[row].astype(np.float64)
            others = np.delete(values, labels[row])
            probabilities = np.exp(values) / np.exp(values).sum()
            agrees = values[labels[row]] > others.max()
            agreements[example].append(agrees)
            margin = values[labels[row]] - others.max()
            own = np.log(probabilities[labels[row]])
            seen[example, 0 if is_early else 1].append(
                [margin, own, v[row], agrees, *probabilities]
            )
    count = np.array([[len(seen[e, half]) for half in (0, 1)] for e in range(EXAMPLES)])
    means = np.array([[np.mean(seen[e, half], axis=0) for half in (0, 1)] for e in range(EXAMPLES)])
    forgotten = [
        sum(one and not two for one, two in itertools.pairwise(series))
        for series in agreements.values()
    ]
    return {
        "count": count,
        "margin": means[:, :, 0],
        "log_probability": means[:, :, 1],
        "v": means[:, :, 2],
        "agreement": means[:, :, 3],
        "probabilities": means[:, :, 4:],
        "forgetting_events": forgotten,
    }


def recorded(batches, is_mixed=False, jit_compile=False):
    watch = Watch()
    watch.add("gamma")
    statistics = ExampleStatistics(keras.Model(), EXAMPLES, CLASSES, watch)

    def record(index, labels, logits, lam, v, is_early):
        given = Batch(tf.zeros([BATCH, 1]), tf.one_hot(labels, CLASSES), index=index)
        lam = lam if is_mixed else None
        trained = Batch(given.images, given.labels, lam=lam, logits=logits)
        statistics.record(given, trained, v, is_early)

    function = tf.function(record, jit_compile=jit_compile)
    for batch in batches:
        function(*map(tf.constant, batch))
    return statistics.read()


@pytest.mark.parametrize("is_mixed", [False, True])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_statistics_agree_with_numpy(is_mixed, jit_compile):
    found = recorded(steps(), is_mixed, jit_compile)
    assert (found["count"] > 1).all()
    for name, value in expected(steps(), is_mixed).items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_the_rival_is_found_without_all_probabilities(monkeypatch):
    monkeypatch.setattr(example_statistics, "MOST_VALUES", 0)
    random = np.random.RandomState(1)
    favorites = random.randint(CLASSES, size=EXAMPLES)

    def batches():
        for index, labels, logits, lam, v, is_early in steps(200):
            # The label itself is the likeliest of all, but is no rival of itself.
            liked = random.uniform(size=BATCH) < 0.7
            logits[liked, favorites[index[liked]]] += 5.0
            logits[range(BATCH), labels] += 10.0
            yield index, labels, logits, lam, v, is_early

    found = recorded(batches())
    assert "probabilities" not in found
    labels = np.full(EXAMPLES, -1)
    for index, values, *_ in steps(200):
        labels[index] = values
    there = favorites != labels
    assert there.sum() > 4
    np.testing.assert_array_equal(found["rival"][there], favorites[there])
    assert (found["rival"] != labels).all()


def test_examples_out_of_range_are_left_out():
    batches = list(steps(2))
    for index, *_ in batches:
        index[:3] = [-1, EXAMPLES, 2**40]
    found = recorded(batches)
    assert found["count"].sum() == sum(len(set(index[3:])) for index, *_ in batches)
    assert np.isnan(found["margin"][found["count"] == 0]).all()


def build(name, audit, network=None):
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Input((6, 6, 1)), keras.layers.Flatten()]
    layers += [keras.layers.Dense(16, activation="relu"), keras.layers.Dense(5)]
    chosen = dict(loss_memory=64) if name == "dynamic_bootstrap" else {}
    examples = dict(audit_examples=64) if audit else {}
    model = methods.build(name, network or keras.Sequential(layers), 5, 64, **chosen, **examples)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), metrics=["accuracy"])
    return model


@pytest.fixture
def batches(data):
    images, labels = data
    columns = {"image": images, "label": labels, "index": np.arange(64)}
    return tf.data.Dataset.from_tensor_slices(columns).batch(16)


@pytest.mark.slow
@pytest.mark.parametrize("name", methods.METHODS)
def test_every_method_records_and_trains_as_before(name, batches):
    plain, audited = build(name, audit=False), build(name, audit=True)
    histories = [model.fit(batches, epochs=4, verbose=0).history for model in (plain, audited)]
    assert histories[0] == histories[1]
    for one, two in zip(plain.network.variables, audited.network.variables, strict=True):
        np.testing.assert_array_equal(one, two)
    found = audited.statistics.read()
    assert ("v" in found) == (name in ("mentornet", "mentormix"))
    if name == "mixup":  # counts the steps in which an example had at least half of the mix
        assert 64 < found["count"].sum() < 4 * 64
    else:
        assert (found["count"] == 2).all()
    own = np.take_along_axis(found["probabilities"], labels_of(batches)[:, None, None], axis=2)
    seen = found["count"] == 2
    assert (np.log(own[:, :, 0][seen]) >= found["log_probability"][seen] - 1e-5).all()  # Jensen


def labels_of(batches):
    return np.concatenate([batch["label"] for batch in batches])


@pytest.mark.parametrize("name", WITH_A_FIRST_PASS)
def test_methods_with_a_first_pass_record_the_batch_as_given(name, batches):
    model = build(name, audit=True)
    batch = next(iter(batches.unbatch().batch(64)))
    logits = model.network(batch["image"], training=True).numpy().astype(np.float64)
    model.fit(batches.unbatch().batch(64), epochs=2, steps_per_epoch=1, verbose=0)
    labels = batch["label"].numpy()
    others = np.where(np.eye(5)[labels] == 1, -np.inf, logits).max(axis=1)
    margin = logits[np.arange(64), labels] - others
    np.testing.assert_allclose(model.statistics.read()["margin"][:, 0], margin, atol=1e-4)


def test_another_training_starts_anew(batches):
    model = build("vanilla", audit=True)
    model.fit(batches, epochs=4, verbose=0)
    model.fit(batches, epochs=2, verbose=0)
    assert (model.statistics.read()["count"] == 1).all()


@pytest.mark.slow
def test_a_saved_model_keeps_its_statistics(batches, tmp_path):
    model = build("mentormix", audit=True)
    model.fit(batches, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = methods.load_model(tmp_path / "model.keras")
    for name, value in model.statistics.read().items():
        np.testing.assert_array_equal(loaded.statistics.read()[name], value)


def test_an_audit_needs_the_index_of_each_example(data):
    with pytest.raises(methods.base.InputError, match="needs each example's position"):
        build("vanilla", audit=True).fit(*data, verbose=0)

"""CleanNet against its formulas in float64 NumPy, and on features whose classes are known."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from mentormix_tf import InputError
from mentormix_tf.rounds import clean_net

SIZE, CLASSES = 6, 3


def planted(count, size=64, classes=10, seed=0):
    """Features around the mean of the true class, and labels of which 40 % are wrong.

    Two means are about 12 standard deviations apart, so that features tell the true class.
    """
    random = np.random.RandomState(seed)
    means = random.normal(size=(classes, size)) * 12 / np.sqrt(2 * size)
    true = np.arange(count) % classes
    features = means[true] + random.normal(size=(count, size))
    wrong = random.uniform(size=count) < 0.4
    labels = np.where(wrong, (true + random.randint(1, classes, count)) % classes, true)
    clean = (labels == true).astype(int)
    verified = np.where(random.uniform(size=count) < 0.05, clean, -1)
    return features, labels, verified, clean, means


# The formulas.


def dense(x, weights):
    kernel, bias = weights
    return np.tanh(x @ kernel + bias)


def unit(x):
    return x / np.sqrt((x**2).sum(axis=-1, keepdims=True))


def query_oracle(x, weights):
    pairs = [weights[i : i + 2] for i in range(0, 8, 2)]
    embedding = dense(dense(x, pairs[0]), pairs[1])
    reconstruction = dense(dense(embedding, pairs[2]), pairs[3])
    return unit(embedding), ((x - reconstruction) ** 2).sum(axis=1)


def set_oracle(references, present, weights):
    """Each class by itself, of the references that are there."""
    first, second, relevance, context, last = (
        *(weights[i : i + 2] for i in (0, 2, 4)),
        weights[6],
        weights[7:],
    )
    found = []
    for own, there in zip(references, present, strict=True):
        encoded = dense(dense(own[there], first), second)
        logits = (dense(encoded, relevance) @ context)[:, 0]
        attention = np.exp(logits) / np.exp(logits).sum()
        found.append(dense(attention @ encoded, last))
    return unit(np.stack(found))


def losses_oracle(similarity, error, verified):
    found = []
    for s, e, v in zip(similarity, error, verified, strict=True):
        right = s >= 0.1 if v < 0 else v == 1
        fit = 1 - s if right else 5 * max(0, s - 0.1)
        found.append(fit * (0.1 if v < 0 else 1) + 0.1 * e)
    return np.array(found)


@pytest.fixture
def encoders():
    """Encoders whose weights, biases too, are all other than 0."""
    made = clean_net.Encoders(SIZE, seed=3)
    random = np.random.RandomState(0)
    for variable in made.variables:
        variable.assign_add(random.normal(scale=0.2, size=variable.shape))
    return made


def weights_of(model):
    return [weight.astype(np.float64) for weight in model.get_weights()]


def example_sets():
    random = np.random.RandomState(1)
    present = np.array([[True] * 5, [True, True, False, False, False], [True] + [False] * 4])
    return random.normal(size=(CLASSES, 5, SIZE)).astype(np.float32), present


def test_embeddings_are_those_of_the_formulas(encoders):
    shapes = [weight.shape for weight in encoders.query.get_weights()[::2]]
    assert shapes == [(SIZE, 256), (256, 128), (128, 256), (256, SIZE)]
    x = np.random.RandomState(2).normal(size=(20, SIZE)).astype(np.float32)
    embedded, error = encoders.embed_queries(x)
    expected = query_oracle(x.astype(np.float64), weights_of(encoders.query))
    np.testing.assert_allclose(embedded, expected[0], atol=1e-5)
    np.testing.assert_allclose(error, expected[1], rtol=1e-5)

    shapes = [weight.shape for weight in encoders.sets.get_weights() if weight.ndim == 2]
    assert shapes == [(SIZE, 512), (512, 256), (256, 256), (256, 1), (256, 128)]
    sets, present = example_sets()
    found = encoders.embed_classes(sets, present)
    expected = set_oracle(sets.astype(np.float64), present, weights_of(encoders.sets))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_references_that_are_not_there_change_nothing(encoders):
    sets, present = example_sets()
    other = np.where(present[..., None], sets, 100.0).astype(np.float32)
    found = [encoders.embed_classes(each, present).numpy() for each in (sets, other)]
    np.testing.assert_array_equal(found[0], found[1])
    order = np.array([4, 2, 0, 3, 1])  # nor does their order
    shuffled = encoders.embed_classes(sets[:, order], present[:, order])
    np.testing.assert_allclose(shuffled, found[0], atol=1e-5)
    assert not np.allclose(encoders.embed_classes(sets, present, training=True), found[0])


def test_the_loss_is_that_of_the_formula():
    random = np.random.RandomState(0)
    similarity = np.append(random.uniform(-1, 1, 300), [0.05, 0.15] * 3)
    error, verified = random.uniform(0, 3, 306), random.randint(-1, 2, size=306)
    verified[300:] = [-1, -1, 0, 0, 1, 1]
    found = clean_net.example_losses(
        tf.constant(similarity, tf.float32), tf.constant(error, tf.float32), tf.constant(verified)
    )
    np.testing.assert_allclose(found, losses_oracle(similarity, error, verified), rtol=1e-4)


def test_kernels_are_regularized(encoders):
    models = (encoders.query, encoders.sets)
    kernels = [w for model in models for w in weights_of(model) if w.ndim == 2 and w.shape[1] > 1]
    assert len(kernels) == 8
    expected = 1e-4 * sum((kernel**2).sum() for kernel in kernels)
    np.testing.assert_allclose(encoders.regularization(), expected, rtol=1e-5)


def test_features_are_standardized_logarithms():
    random = np.random.RandomState(0)
    x = random.normal(size=(200, 4)) ** 3 + [0, 5, -5, 0]
    x[:, 3] = 7.0
    found = clean_net.transformed(x)
    logs = np.where(x > 0, np.log(np.abs(x) + 1), -np.log(np.abs(x) + 1))
    expected = (logs - logs.mean(axis=0))[:, :3] / logs.std(axis=0)[:3]
    np.testing.assert_allclose(found[:, :3], expected, atol=1e-5)
    assert found.dtype == np.float32 and (found[:, 3] == 0).all()


# References and batches.


def test_references_are_centers_of_their_class():
    random = np.random.RandomState(0)
    centers = np.array([[0, 0], [0, 9], [9, 0], [9, 9]]) + 50.0
    near = np.repeat(centers, 25, axis=0) + random.normal(scale=0.1, size=(100, 2))
    few = np.array([[1.0, 1.0], [2.0, 2.0], [1.0, 1.0]])
    features, labels = np.concatenate([near, few]), np.array([0] * 100 + [1] * 3)
    sets, present = clean_net.class_references(features, labels, 2, 4, seed=0)
    assert present.tolist() == [[True] * 4, [True, True, False, False]]
    nearest = np.abs(sets[0][:, None] - centers).max(axis=-1)
    assert sorted(nearest.argmin(axis=1)) == [0, 1, 2, 3] and nearest.min(axis=1).max() < 0.1
    np.testing.assert_allclose(sorted(sets[1, :2].tolist()), [[1, 1], [2, 2]], atol=1e-6)
    assert (sets[1, 2:] == 0).all()


def test_half_a_batch_is_verified_and_classes_are_equally_frequent():
    labels = np.array([0] * 900 + [1] * 90 + [2] * 10)
    verified = np.full(1000, -1)
    verified[[3, 5, 950]] = [1, 0, 0]
    batches = clean_net._batches(labels, verified, steps=500, seed=0)
    assert batches.shape == (500, 64)
    first, others = batches[:, :32], batches[:, 32:]
    assert set(first.ravel()) == {3, 5, 950} and (verified[others] == -1).all()
    shares = np.bincount(labels[others].ravel()) / others.size
    np.testing.assert_allclose(shares, 1 / 3, atol=0.02)
    of_rare = np.bincount(others[labels[others] == 2])[990:]  # as often as expected, each
    assert len(of_rare) == 10 and of_rare.min() > 0.8 * of_rare.mean()
    every = clean_net._batches(labels, np.ones(1000, int), steps=3, seed=0)
    assert every.shape == (3, 32)


# Training.


def test_wrong_labels_are_found_from_a_few_verified_ones():
    """The distances to the true means, which nobody knows, would tell all of them apart."""
    features, labels, verified, clean, means = planted(1437)  # as digits
    distances = ((features[:, None] - means) ** 2).sum(axis=-1)
    own, unseen = distances[np.arange(len(labels)), labels], verified < 0
    assert roc_auc_score(clean[unseen], (distances.min(axis=1) - own)[unseen]) > 0.9999
    found = clean_net.scores(features, labels, verified, 10, steps=300)
    assert found.shape == (1437,) and found.dtype == np.float32 and (abs(found) <= 1).all()
    assert roc_auc_score(clean[unseen], found[unseen]) > 0.98
    weights = clean_net.soft_weights(found)
    np.testing.assert_array_equal(weights, np.maximum(found, 0))
    assert weights[clean == 1].mean() > 2 * weights[clean == 0].mean()


@pytest.mark.slow
def test_it_carries_over_to_classes_without_verified_labels():
    features, labels, verified, clean, _ = planted(3000, size=8, classes=30)
    others = labels >= 24
    verified = np.where(~others & (np.arange(3000) % 4 == 0), clean, -1)
    found = clean_net.scores(features, labels, verified, 30, steps=500)
    assert roc_auc_score(clean[others], found[others]) > 0.8


def test_a_seed_gives_the_same_scores():
    features, labels, verified, _, _ = planted(200)
    one, same, other = (
        clean_net.scores(features, labels, verified, 10, references=4, steps=20, seed=seed)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other, atol=1e-3)


def test_classes_of_a_single_example_and_of_equal_ones():
    features, labels, verified, _, _ = planted(200)
    labels = np.where(labels == 9, 8, labels)
    labels[0], features[labels == 7] = 9, 1.0
    found = clean_net.scores(features, labels, verified, 10, references=4, steps=20)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((1, 1), "7 are verified as right and 0 as wrong: verify more"),
        ((0, 0), "0 are verified as right and 7 as wrong: verify more"),
        ((-1, -1), "0 are verified as right and 0 as wrong: verify more"),
    ],
)
def test_labels_of_both_kinds_must_be_verified(values, message):
    features, labels, verified, _, _ = planted(200)
    verified[:] = -1
    verified[:7] = [values[i % 2] for i in range(7)]
    with pytest.raises(InputError, match=message):
        clean_net.scores(features, labels, verified, 10)


def test_what_else_is_refused():
    features, labels, verified, _, _ = planted(200)
    with pytest.raises(InputError, match="class number 10 has none"):
        clean_net.scores(features, labels, verified, 11)
    features[5, 3] = np.nan
    with pytest.raises(InputError, match="features that are infinite or not a number"):
        clean_net.scores(features, labels, verified, 10)

"""The networks of a CleanNet against their formulas in float64 NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf.rounds import clean_net_encoders

SIZE, CLASSES = 6, 3


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
    made = clean_net_encoders.Encoders(SIZE, seed=3)
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
    found = clean_net_encoders.example_losses(
        tf.constant(similarity, tf.float32), tf.constant(error, tf.float32), tf.constant(verified)
    )
    np.testing.assert_allclose(found, losses_oracle(similarity, error, verified), rtol=1e-4)


def test_kernels_are_regularized(encoders):
    models = (encoders.query, encoders.sets)
    kernels = [w for model in models for w in weights_of(model) if w.ndim == 2 and w.shape[1] > 1]
    assert len(kernels) == 8
    expected = 1e-4 * sum((kernel**2).sum() for kernel in kernels)
    np.testing.assert_allclose(encoders.regularization(), expected, rtol=1e-5)

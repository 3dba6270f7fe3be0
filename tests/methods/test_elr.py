"""ELR: loss, gradient and targets against a float64 oracle, and what becomes of the targets."""

import numpy as np
import tensorflow as tf

from tests.support import method_oracles
from tests.support.linear_methods import CLASSES, CLOSE, SIZE, build, losses_and_gradient


def test_elr(batch):
    model = build("elr", beta=0.8, elr_lambda=2.0)
    random = np.random.RandomState(3)
    index = random.randint(SIZE + 2, size=SIZE)
    assert len(set(index)) < SIZE  # some example is there twice
    before = random.dirichlet(np.ones(CLASSES), size=SIZE + 2)
    model.targets.variable.assign(before)
    one_hot = np.eye(CLASSES)[batch[1]]
    start = model.network.get_weights()[0].astype(np.float64)
    start = 20 * start  # some probabilities run into the limits
    model.network.set_weights([start])
    logits = batch[0] @ start
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert (p / p.sum(axis=1, keepdims=True)).max() > 1 - 1e-4
    targets = method_oracles.elr_targets(before[index], logits, 0.8)

    def loss(weights):
        return method_oracles.elr(one_hot, batch[0] @ weights, targets, 2.0).mean()

    found, by_logits = losses_and_gradient(model, one_hot, logits, index=tf.constant(index))
    np.testing.assert_allclose(
        found, method_oracles.elr(one_hot, logits, targets, 2.0), rtol=1e-3, atol=1e-4
    )
    expected = method_oracles.gradient(
        lambda z: method_oracles.elr(one_hot, z, targets, 2.0).sum(), logits
    )
    np.testing.assert_allclose(by_logits, expected, rtol=1e-3, atol=1e-4)

    logs = model.train_step({"image": batch[0], "label": batch[1], "index": index})
    np.testing.assert_allclose(logs["loss"], loss(start), rtol=1e-3)
    expected = start - 0.5 * method_oracles.gradient(loss, start)
    np.testing.assert_allclose(model.network.get_weights()[0], expected, rtol=1e-3, atol=1e-4)
    for row in range(SIZE + 2):
        places = np.flatnonzero(index == row)
        value = targets[places[0]] if places.size else before[row]
        np.testing.assert_allclose(model.targets.variable[row], value, **CLOSE)


def test_elr_opposes_a_label_that_its_target_contradicts():
    """Beyond the point where both gradients cancel, the label is no longer learned."""
    model = build("elr", beta=0.9, elr_lambda=3.0)
    model.targets.variable.assign(np.tile([0.95, 0.05, 0, 0], (SIZE + 2, 1)))
    labels, logits = np.eye(CLASSES)[[1, 0]], np.tile([2.0, 0, -3, -3], (2, 1))
    _, gradient = losses_and_gradient(model, labels, logits, index=tf.constant([0, 1]))
    assert gradient[0, 0] < 0 < gradient[0, 1]  # towards the target's class, away from the label's
    assert gradient[1, 0] < 0


def test_elr_forgets_the_targets_of_an_earlier_training(batch):
    model = build("elr")
    columns = {"image": batch[0], "label": batch[1], "index": np.arange(SIZE)}
    data = tf.data.Dataset.from_tensor_slices(columns).batch(SIZE)
    model.fit(data, epochs=3, verbose=0)
    sums = np.sum(model.targets.variable, axis=1)
    np.testing.assert_allclose(sums[:SIZE], 1 - 0.7**3, rtol=1e-5)
    assert not sums[SIZE:].any()
    model.fit(data, epochs=1, verbose=0)
    np.testing.assert_allclose(np.sum(model.targets.variable, axis=1)[:SIZE], 0.3, rtol=1e-5)
    model.fit(data, epochs=2, initial_epoch=1, verbose=0)
    np.testing.assert_allclose(np.sum(model.targets.variable, axis=1)[:SIZE], 0.51, rtol=1e-5)

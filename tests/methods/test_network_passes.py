"""The passes through the network: clipped logits."""

import numpy as np
import tensorflow as tf

from tests.support import method_oracles, oracles
from tests.support.linear_methods import CLASSES, CLOSE, SIZE, build


def test_clipped_logits(batch):
    """Logits longer than τ have the norm τ in training, and are as they are in evaluation."""
    model = build("vanilla", logit_clip=1.5)
    start = model.network.get_weights()[0].astype(np.float64)
    labels = np.eye(CLASSES)[batch[1]]
    norms = np.linalg.norm(batch[0] @ start, axis=1)
    assert 3 < (norms > 1.5).sum() < SIZE - 3

    def loss(weights):
        logits = batch[0] @ weights
        norms = np.linalg.norm(logits, axis=1, keepdims=True)
        return oracles.cross_entropy(labels, logits * np.minimum(1, 1.5 / norms)).mean()

    whole = oracles.cross_entropy(labels, batch[0] @ start).mean()
    np.testing.assert_allclose(model.evaluate(*batch, verbose=0), whole, rtol=1e-5)
    first = model.first_pass_logits(tf.constant(batch[0]))
    np.testing.assert_allclose(np.linalg.norm(first, axis=1).max(), 1.5, rtol=1e-5)
    model.reset_metrics()
    np.testing.assert_allclose(model.train_step(batch)["loss"], loss(start), **CLOSE)
    expected = start - 0.5 * method_oracles.gradient(loss, start)
    np.testing.assert_allclose(model.network.get_weights()[0], expected, **CLOSE)
    zeros = (np.zeros_like(batch[0]), batch[1])
    assert np.isfinite(model.train_step(zeros)["loss"])
    assert np.isfinite(model.network.get_weights()[0]).all()

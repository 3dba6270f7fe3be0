"""Co-teaching: a step of both networks against a float64 oracle, and how the second begins."""

import keras
import numpy as np
import pytest

from mentormix_tf import InputError, methods
from tests.support import method_oracles
from tests.support.linear_methods import CLASSES, CLOSE, SIZE, build


@pytest.mark.parametrize("step", [0, 5, 15])
def test_co_teaching(batch, step):
    """A step of both networks, while the share that is left out rises and after that."""
    model = build("co_teaching", forget_rate=0.5, forget_ramp=0.5, weight_decay=0.01)
    model.step.assign(step)
    labels = np.eye(CLASSES)[batch[1]]
    starts = [each.get_weights()[0].astype(np.float64) for each in (model.network, model.peer)]
    assert not np.allclose(*starts)
    kept = SIZE - int(SIZE * 0.5 * min(step / 10, 1.0))

    def loss(weights):
        logits = [batch[0] @ each for each in weights]
        decay = 0.01 * sum((each**2).sum() for each in weights)
        return method_oracles.co_teaching(labels, *logits, kept) + decay

    np.testing.assert_allclose(model.train_step(batch)["loss"], loss(starts), **CLOSE)
    gradient = method_oracles.gradient(loss, np.array(starts))
    for network, start, slope in zip((model.network, model.peer), starts, gradient, strict=True):
        np.testing.assert_allclose(network.get_weights()[0], start - 0.5 * slope, **CLOSE)


def test_co_teaching_starts_its_peer_from_trained_weights(network):
    model = methods.build("co_teaching", network, 5, 0)
    assert not np.allclose(network.layers[0].kernel, model.peer.layers[0].kernel)
    model.start_peer_from_network()
    for own, other in zip(network.layers[:-1], model.peer.layers[:-1], strict=True):
        for weight, same in zip(own.weights, other.weights, strict=True):
            if "seed_generator" not in weight.path:
                np.testing.assert_array_equal(weight, same)
    assert not np.allclose(network.layers[-1].kernel, model.peer.layers[-1].kernel)


def test_co_teaching_needs_a_network_that_can_be_made_twice():
    class Own(keras.Model):
        def __init__(self, units):
            super().__init__()
            self.units = units

    with pytest.raises(InputError, match="Own can't be saved so that it loads as it is"):
        methods.build("co_teaching", Own(3), 5, 0)

"""Labels in every form become the same rows; labels out of range become NaN; smoothed labels."""

import numpy as np
import pytest

from mentormix_tf.errors import InputError
from mentormix_tf.methods import labels
from tests.support import method_oracles, oracles
from tests.support.linear_methods import CLASSES, CLOSE, SIZE, build

NUMBERS = np.array([2, 0, 1])
ROWS = np.eye(3, dtype=np.float32)[NUMBERS]


@pytest.mark.parametrize("given", [NUMBERS, NUMBERS[:, None], NUMBERS.astype(float), ROWS])
def test_one_hot(given):
    np.testing.assert_array_equal(labels.one_hot(given, 3), ROWS)
    labels.check(given, 3)


@pytest.mark.parametrize("wrong", [-1, 3])
def test_out_of_range(wrong):
    given = np.array([0, wrong])
    np.testing.assert_array_equal(labels.one_hot(given, 3), [[1, 0, 0], [np.nan] * 3])
    with pytest.raises(InputError, match=rf"Labels run from .*{wrong}.* needs them in \[0, 3\)"):
        labels.check(given, 3)


@pytest.mark.parametrize(
    "given", [np.array([0.5, 1]), np.eye(3)[:2] * 5, np.ones((2, 3)), [[2.0, -1, 0]] * 2, [np.nan]]
)
def test_what_is_not_a_label(given):
    given = np.asarray(given)
    assert np.isnan(labels.one_hot(given, 3)).any()
    with pytest.raises(InputError, match=r"must be integers|Labels run from"):
        labels.check(given, 3)


def test_other_forms_are_refused():
    with pytest.raises(InputError, match="must be integers, or one-hot"):
        labels.check(np.array(["cat"]), 3)
    for function in (labels.check, labels.one_hot):
        with pytest.raises(InputError, match="have 3 columns, but num_classes is 4"):
            function(ROWS, 4)


@pytest.mark.parametrize("smoothing", [0.4, -0.4, -6.0])
def test_smoothing_of_labels(smoothing, batch):
    """As published: (1 - r)·ℓ of the label + r · the mean of ℓ over all classes."""
    model = build("vanilla", label_smoothing=smoothing)
    start = model.network.get_weights()[0].astype(np.float64)
    labels = np.eye(CLASSES)[batch[1]]

    def loss(weights):
        own = oracles.cross_entropy(labels, batch[0] @ weights)
        every = oracles.cross_entropy(np.ones_like(labels) / CLASSES, batch[0] @ weights)
        return ((1 - smoothing) * own + smoothing * every).mean()

    np.testing.assert_allclose(model.train_step(batch)["loss"], loss(start), **CLOSE)
    expected = start - 0.5 * method_oracles.gradient(loss, start)
    np.testing.assert_allclose(model.network.get_weights()[0], expected, **CLOSE)


@pytest.mark.parametrize("name", ["gce", "dynamic_bootstrap", "data_parameters"])
def test_methods_that_need_probabilities_refuse_smoothing_below_0(name):
    with pytest.raises(InputError, match=rf"label_smoothing=-0.4 must not be below 0 for {name}"):
        build(name, label_smoothing=-0.4)


@pytest.mark.parametrize("name", ["s_model", "bootstrap", "mixup", "mentormix", "elr", "nce_rce"])
def test_other_methods_take_smoothing_below_0(name, batch):
    model = build(name, label_smoothing=-0.4, logit_clip=2.0)
    logs = model.train_step({"image": batch[0], "label": batch[1], "index": np.arange(SIZE)})
    assert np.isfinite(logs["loss"])
    assert all(np.isfinite(weight).all() for weight in model.get_weights())

"""Forward correction: loss and gradient against a float64 oracle, and sources of the matrix."""

import numpy as np
import pytest

from mentormix_tf import InputError
from tests.support import method_oracles, oracles
from tests.support.linear_methods import CLASSES, CLOSE, build, losses_and_gradient

MATRIX = np.array([[0.7, 0.3, 0, 0], [0, 1, 0, 0], [0.1, 0.2, 0.3, 0.4], [0.25] * 4])


def test_forward_with_the_matrix_of_a_file(batch, tmp_path):
    np.savetxt(tmp_path / "matrix.csv", MATRIX, delimiter=",")
    model = build("forward", transition_matrix=str(tmp_path / "matrix.csv"))
    labels = np.eye(CLASSES)[batch[1]]
    logits = 2 * np.random.RandomState(1).normal(size=labels.shape)
    losses, gradient = losses_and_gradient(model, labels, logits)
    expected = method_oracles.forward(labels, logits, MATRIX)
    np.testing.assert_allclose(losses, expected, **CLOSE)
    # Transposed, the matrix would give other losses.
    assert np.abs(expected - method_oracles.forward(labels, logits, MATRIX.T)).max() > 0.1
    expected = method_oracles.gradient(
        lambda z: method_oracles.forward(labels, z, MATRIX).sum(), logits
    )
    np.testing.assert_allclose(gradient, expected, **CLOSE)
    assert not [v for v in model.trainable_weights if v is model.transitions]
    model.set_transition_matrix(np.eye(CLASSES))
    losses, _ = losses_and_gradient(model, labels, logits)
    np.testing.assert_allclose(losses, oracles.cross_entropy(labels, logits), **CLOSE)


def test_forward_is_finite_where_labels_are_impossible():
    model = build("forward")
    model.set_transition_matrix(np.eye(CLASSES))
    labels, logits = np.eye(CLASSES)[[0, 1]], np.array([[-500.0, 500, 0, 0], [0, 200, 0, 0]])
    losses, gradient = losses_and_gradient(model, labels, logits)
    assert np.isfinite(losses).all() and np.isfinite(gradient).all()
    assert losses[0] > 60 and losses[1] < 1e-3


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), "4 classes need a transition matrix of 4 x 4"),
        (np.ones([4, 4]), "must have rows of probabilities that sum to 1"),
        (np.eye(4) + 0.5 * (np.eye(4) - np.eye(4)[::-1]), "must have rows of probabilities"),
        (np.full([4, 4], np.nan), "must have rows of probabilities"),
        (np.ones([4, 2]) / 2, "has as many columns as rows"),
        (np.ones(4), "has as many columns as rows"),
        (np.ones([0, 0]), "has as many columns as rows"),
    ],
)
def test_what_is_no_transition_matrix(matrix, message, tmp_path):
    model = build("forward")
    before = model.transitions.numpy()
    with pytest.raises(InputError, match=f"^The transition matrix .*{message}"):
        model.set_transition_matrix(matrix)
    np.testing.assert_array_equal(model.transitions, before)
    np.save(tmp_path / "matrix.npy", matrix)
    with pytest.raises(InputError, match=r"^transition_matrix=\S+matrix.npy "):
        build("forward", transition_matrix=str(tmp_path / "matrix.npy"))


def test_an_oracle_must_be_told(batch):
    model = build("forward", transition_matrix="oracle")
    with pytest.raises(InputError, match="transition_matrix=oracle is known to the train command"):
        model.fit(*batch, verbose=0)
    model.set_transition_matrix(MATRIX)
    assert np.isfinite(model.fit(*batch, verbose=0).history["loss"]).all()

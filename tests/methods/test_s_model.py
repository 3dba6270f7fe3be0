"""S-Model: how its transition matrix starts. Its loss is tested in test_losses.py."""

import numpy as np
import pytest

from mentormix_tf import InputError
from tests.support.linear_methods import build

MATRIX = np.array([[0.7, 0.3, 0, 0], [0, 1, 0, 0], [0.1, 0.2, 0.3, 0.4], [0.25] * 4])


def test_it_starts_with_the_matrix_of_a_file_and_learns_on(batch, tmp_path):
    np.savetxt(tmp_path / "matrix.csv", MATRIX, delimiter=",")
    model = build("s_model", transition_matrix=str(tmp_path / "matrix.csv"))
    np.testing.assert_allclose(model.transition_probabilities(), MATRIX, atol=1e-6)
    model.fit(*batch, verbose=0)
    learned = model.transition_probabilities().numpy()
    np.testing.assert_allclose(learned.sum(axis=1), 1.0, rtol=1e-5)
    assert np.abs(learned - MATRIX).max() > 1e-4


def test_a_program_can_set_it():
    model = build("s_model")
    model.set_transition_matrix(MATRIX)
    np.testing.assert_allclose(model.transition_probabilities(), MATRIX, atol=1e-6)
    with pytest.raises(InputError, match="The transition matrix must have rows of probabilities"):
        model.set_transition_matrix(MATRIX + 0.1)


def test_an_oracle_must_be_told(batch):
    model = build("s_model", transition_matrix="oracle")
    with pytest.raises(InputError, match="transition_matrix=oracle is known to the train command"):
        model.fit(*batch, verbose=0)

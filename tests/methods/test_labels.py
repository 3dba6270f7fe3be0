"""Labels in every form become the same rows; labels out of range become NaN."""

import numpy as np
import pytest

from mentormix_tf.errors import InputError
from mentormix_tf.methods import labels

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

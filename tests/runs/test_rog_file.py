"""rog.npz is read as it was written, or refused in a sentence."""

import numpy as np
import pytest
from etils import epath

from mentormix_tf import InputError
from mentormix_tf.inference.rog import Head
from mentormix_tf.runs import rog_file


def head(layer, size, seed):
    random = np.random.RandomState(seed)
    kernel = random.normal(size=(size, 3)).astype(np.float32)
    return Head(layer, kernel, kernel[0])


@pytest.fixture
def path(tmp_path):
    return epath.Path(tmp_path) / "rog.npz"


def test_what_was_written_is_read(path):
    heads = {
        "last": [head("convolution", 4, 0), head("penultimate", 5, 1)],
        "best": [head("convolution", 4, 2), head("penultimate", 5, 3)],
    }
    rog_file.write(path, heads)
    for weights, expected in heads.items():
        found = rog_file.read(path, weights, ("convolution", "penultimate"), 3)
        for one, other in zip(found, expected, strict=True):
            assert one.layer == other.layer
            np.testing.assert_array_equal(one.kernel, other.kernel)
            np.testing.assert_array_equal(one.bias, other.bias)


def test_before_the_end_there_is_none(path):
    with pytest.raises(InputError, match=r"rog.npz is not there yet: .* when its steps are done"):
        rog_file.read(path, "last", ("convolution",), 3)


@pytest.mark.parametrize(
    ("weights", "layers", "num_classes", "message"),
    [
        ("averaged", ("convolution",), 3, "can't be read as this run's heads"),
        ("last", ("penultimate",), 3, "can't be read as this run's heads"),
        ("last", ("convolution",), 4, "does not hold heads of 4 classes"),
    ],
)
def test_other_heads_are_refused(path, weights, layers, num_classes, message):
    rog_file.write(path, {"last": [head("convolution", 4, 0)]})
    with pytest.raises(InputError, match=message):
        rog_file.read(path, weights, layers, num_classes)


def test_a_damaged_file_is_refused(path):
    rog_file.write(path, {"last": [head("convolution", 4, 0)]})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match="can't be read as this run's heads"):
        rog_file.read(path, "last", ("convolution",), 3)

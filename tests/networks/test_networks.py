"""Every network: shapes, sizes, input range, and that its logits are logits."""

import numpy as np
import pytest

from mentormix_tf import InputError, networks


@pytest.mark.parametrize("name", networks.NETWORKS)
@pytest.mark.parametrize(
    ("image_shape", "num_classes"), [((8, 8, 1), 10), ((32, 32, 3), 100), ((17, 9, 3), 2)]
)
def test_any_size_and_number_of_classes(name, image_shape, num_classes):
    network = networks.build(name, image_shape, num_classes)
    images = np.random.RandomState(0).randint(256, size=(4, *image_shape)).astype(np.float32)
    logits = network(images).numpy()
    assert logits.shape == (4, num_classes) and np.isfinite(logits).all()
    assert not np.allclose(logits.sum(axis=1), 1.0)


def test_small_cnn_size():
    convolutions = 9 * (1 * 32 + 32 * 32 + 32 * 64 + 64 * 64)
    batch_norms = 4 * (32 + 32 + 64 + 64 + 128)
    dense = 2 * 2 * 64 * 128 + (128 + 1) * 10
    network = networks.build("small_cnn", (8, 8, 1), 10)
    assert network.count_params() == convolutions + batch_norms + dense


def test_unknown_network():
    with pytest.raises(InputError, match="network=resnet is unknown: choose one of small_cnn"):
        networks.build("resnet", (8, 8, 1), 10)

"""The small network's size."""

from mentormix_tf import networks


def test_size():
    convolutions = 9 * (1 * 32 + 32 * 32 + 32 * 64 + 64 * 64)
    batch_norms = 4 * (32 + 32 + 64 + 64 + 128)
    dense = 2 * 2 * 64 * 128 + (128 + 1) * 10
    network = networks.build("small_cnn", (8, 8, 1), 10)
    assert network.count_params() == convolutions + batch_norms + dense

"""The small network's size."""

import pytest

from mentormix_tf import InputError, networks


def test_size():
    convolutions = 9 * (1 * 32 + 32 * 32 + 32 * 64 + 64 * 64)
    batch_norms = 4 * (32 + 32 + 64 + 64 + 128)
    dense = 2 * 2 * 64 * 128 + (128 + 1) * 10
    network = networks.build("small_cnn", (8, 8, 1), 10)
    assert network.count_params() == convolutions + batch_norms + dense


def test_registry_tells_its_size_for_cifar():
    convolutions = [3 * 32, 32 * 32, 32 * 64, 64 * 64]
    dense = [8 * 8 * 64 * 128, 128 * 10]
    scales_and_biases = 2 * (32 + 32 + 64 + 64 + 128) + 10
    entry = networks.NETWORKS["small_cnn"]
    assert entry.parameters == 9 * sum(convolutions) + sum(dense) + scales_and_biases
    places = [32 * 32, 32 * 32, 16 * 16, 16 * 16]
    macs = 9 * sum(map(int.__mul__, places, convolutions)) + sum(dense)
    assert entry.giga_macs == round(macs / 1e9, 2)


def test_images_that_are_too_small():
    networks.build("small_cnn", (4, 4, 1), 10)
    for sides in ((3, 3), (4, 3), (1, 100)):
        with pytest.raises(InputError, match=r"can't take images of .* pixels: use --image_size=4"):
            networks.build("small_cnn", (*sides, 1), 10)

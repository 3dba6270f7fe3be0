"""Every network: input and output shapes, that it returns logits, and that it can be saved.

test_applications.py has more tests of the networks of keras.applications.
"""

import keras
import numpy as np
import pytest

from mentormix_tf import InputError, networks

OWN = (
    "small_cnn",
    "resnet32",
    "resnet32_thin",
    "resnet9_thin",
    "preact_resnet18",
    "wide_resnet_28_10",
)
# One for each way of preprocessing.
APPLICATIONS = (
    "vgg16",
    "mobilenet",
    pytest.param("densenet121", marks=pytest.mark.slow),
    "mobilenet_v3_small",
)


def images_of(image_shape, count=2):
    return np.random.RandomState(0).randint(256, size=(count, *image_shape)).astype(np.float32)


def test_names():
    assert tuple(networks.NETWORKS) == OWN
    assert not set(networks.NETWORKS) & set(networks.APPLICATIONS)


@pytest.mark.parametrize(
    ("image_shape", "num_classes"), [((8, 8, 1), 10), ((32, 32, 3), 100), ((17, 9, 3), 2)]
)
@pytest.mark.parametrize("name", OWN)
def test_own_networks_take_any_size_and_number_of_classes(name, image_shape, num_classes):
    _check(networks.build(name, image_shape, num_classes), image_shape, num_classes)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_applications_take_any_number_of_classes(name):
    _check(networks.build(name, (33, 40, 3), 7), (33, 40, 3), 7)


def _check(network, image_shape, num_classes):
    logits = network(images_of(image_shape)).numpy()
    assert logits.shape == (2, num_classes) and np.isfinite(logits).all()
    assert not np.allclose(logits.sum(axis=1), 1.0)


# The wide ResNet is left out: it is made of the same layers as preact_resnet18.
@pytest.mark.parametrize("name", (*OWN[:-1], *APPLICATIONS))
def test_saved_and_loaded_is_the_same(name, tmp_path):
    network = networks.build(name, (32, 32, 1), 3)
    network.save(tmp_path / "network.keras")
    images = images_of((32, 32, 1))
    np.testing.assert_array_equal(
        keras.models.load_model(tmp_path / "network.keras")(images), network(images)
    )


def test_unknown_network():
    sentence = "network=resnet is unknown: choose one of small_cnn, .* such as resnet50"
    with pytest.raises(InputError, match=sentence):
        networks.build("resnet", (8, 8, 1), 10)


@pytest.mark.parametrize("name", OWN)
def test_own_networks_have_no_pretrained_weights(name):
    with pytest.raises(InputError, match=f"no ImageNet weights for network={name}; .*resnet50"):
        networks.build(name, (32, 32, 3), 10, pretrained=True)

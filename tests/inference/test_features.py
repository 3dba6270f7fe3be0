"""Features of networks of all families, against the layers' own outputs."""

import keras
import numpy as np
import pytest
from keras import layers

from mentormix_tf import InputError, networks
from mentormix_tf.inference import features as feature_models


def images(shape, count=3):
    return np.random.RandomState(0).uniform(0, 255, size=(count, *shape)).astype(np.float32)


@pytest.mark.parametrize("name", ["small_cnn", "resnet32_thin", "mobilenet_v2"])
def test_penultimate_features_give_the_logits(name):
    shape = (32, 32, 3)
    network = networks.build(name, shape, 5)
    features, logits = feature_models.model(network, "penultimate")(images(shape), training=False)
    np.testing.assert_allclose(logits, network(images(shape), training=False), rtol=1e-5, atol=1e-5)
    dense = [layer for layer in network.layers if isinstance(layer, layers.Dense)][-1]
    np.testing.assert_allclose(dense(features), logits, rtol=1e-5, atol=1e-5)


def test_convolution_features_are_spatial_means():
    stack = [layers.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Conv2D(6, 3)]
    network = keras.Sequential([*stack, layers.ReLU(), layers.Flatten(), layers.Dense(4)])
    features, _ = feature_models.model(network, "convolution")(images((8, 8, 1)))
    maps = network.layers[2](network.layers[1](network.layers[0](images((8, 8, 1)))))
    np.testing.assert_allclose(features, np.mean(maps, axis=(1, 2)), rtol=1e-5)


@pytest.mark.parametrize("name", ["small_cnn", "resnet32_thin", "mobilenet_v2"])
def test_all_families_have_convolution_features(name):
    shape = (32, 32, 3)
    network = networks.build(name, shape, 5)
    features, logits = feature_models.model(network, "convolution")(images(shape), training=False)
    assert features.shape[0] == 3 and features.shape[1] > 10 and features.dtype == "float32"
    np.testing.assert_allclose(logits, network(images(shape), training=False), rtol=1e-5, atol=1e-5)


def test_what_has_no_features():
    dense = keras.Sequential([layers.Input((8, 8, 1)), layers.Rescaling(0.1), layers.Flatten()])
    dense.add(layers.Dense(3))
    assert feature_models.has(dense, "penultimate") and not feature_models.has(dense, "convolution")
    with pytest.raises(InputError, match="features=convolution can't be found in the network"):
        feature_models.model(dense, "convolution")

    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(InputError, match="must be Sequential or functional and end with a dense"):
        feature_models.model(Own(), "penultimate")
    with pytest.raises(InputError, match="features=last is unknown"):
        feature_models.model(dense, "last")

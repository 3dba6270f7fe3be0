"""Networks whose output is not logits, or that could not be loaded as they were saved."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import mentormix_tf as mm
from mentormix_tf import InputError
from mentormix_tf.methods import network_checks


def network(end):
    """A network that ends in a function of its last features."""
    images = keras.Input((4, 4, 3))
    return keras.Model(images, end(keras.layers.Flatten()(images)))


def dense(activation):
    return lambda features: keras.layers.Dense(5, activation=activation)(features)


def nested(features):
    return keras.Sequential([keras.layers.Dense(5), keras.layers.Activation("softmax")])(features)


def reshaped(features):
    rows = keras.layers.Reshape((1, 5))(dense("softmax")(features))
    return keras.layers.Flatten()(keras.layers.Dropout(0.1)(rows))


def with_its_classifier(features):
    images = keras.layers.Reshape((32, 32, 3))(keras.layers.Dense(3072)(features))
    return keras.applications.MobileNet(
        input_shape=(32, 32, 3), alpha=0.25, weights=None, classes=5
    )(images)


@pytest.mark.parametrize(
    "end",
    [
        dense("softmax"),
        dense(tf.nn.softmax),
        dense(keras.ops.softmax),
        dense("sigmoid"),
        dense(tf.sigmoid),
        dense("hard_sigmoid"),
        nested,
        reshaped,
        with_its_classifier,
        lambda features: keras.layers.Softmax()(dense(None)(features)),
        lambda features: keras.layers.Activation(keras.activations.softmax)(dense(None)(features)),
        lambda features: keras.ops.softmax(dense(None)(features)),
        lambda features: keras.ops.nn.sigmoid(dense(None)(features)),
        lambda features: keras.layers.Activation("linear")(dense("softmax")(features)),
    ],
)
def test_probabilities_are_refused(end):
    with pytest.raises(InputError, match=r"ends in a .*(softmax|sigmoid): remove it"):
        network_checks.check_no_softmax(network(end))


@pytest.mark.parametrize(
    "end",
    [
        dense(None),
        dense("linear"),
        dense("log_softmax"),
        lambda features: dense(None)(dense("sigmoid")(features)),
        lambda features: dense(None)(features) * dense("sigmoid")(features),
        lambda features: keras.Sequential([keras.layers.Dense(5)])(dense("softmax")(features)),
        lambda features: keras.layers.Rescaling(2.0)(dense(None)(features)),
    ],
)
def test_logits_are_taken(end):
    network_checks.check_no_softmax(network(end))


@keras.saving.register_keras_serializable("mentormix_tf_tests")
class Plain(keras.Model):
    """A subclassed network without arguments."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flatten, self.dense = keras.layers.Flatten(), keras.layers.Dense(5)

    def call(self, images, training=None):
        return self.end(self.dense(self.flatten(images)))

    def end(self, logits):
        return logits


class Probabilities(Plain):
    def end(self, logits):
        return tf.nn.softmax(logits)


class WithoutKeywords(Plain):
    def __init__(self):
        super().__init__()


class WithArgument(Plain):
    def __init__(self, scale=1.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def end(self, logits):
        return self.scale * logits


@keras.saving.register_keras_serializable("mentormix_tf_tests")
class WithConfig(WithArgument):
    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


IMAGES = np.random.RandomState(0).rand(16, 4, 4, 3).astype(np.float32)
LABELS = np.arange(16) % 5


def trained(subclassed, **arguments):
    subclassed(IMAGES)
    model = mm.MentorMix(subclassed, num_classes=5, **arguments)
    model.compile("sgd")
    model.fit(IMAGES, LABELS, verbose=0)
    return model


def test_a_network_that_returns_probabilities_is_noticed_when_it_is_trained():
    with pytest.warns(UserWarning, match="returns probabilities, it seems: remove its softmax"):
        trained(Probabilities())


@pytest.mark.parametrize("arguments", [{}, {"ema_decay": 0.5}])
@pytest.mark.parametrize("make", [Plain, lambda: WithConfig(5.0)])
def test_a_subclassed_network_is_loaded_with_its_weights(tmp_path, make, arguments):
    model = trained(make(), **arguments)
    model.save(tmp_path / "model.keras")
    loaded = mm.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0))


def test_a_subclassed_network_that_cannot_be_loaded_is_not_saved(tmp_path):
    for network in (WithArgument(5.0), WithoutKeywords()):
        with pytest.raises(InputError, match=r"With\w+ can't be saved .* get_config .*(scale)?"):
            trained(network).save(tmp_path / "model.keras")

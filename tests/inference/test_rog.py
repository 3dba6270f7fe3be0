"""RoG against the densities of Gaussians in float64."""

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
from keras import layers

from mentormix_tf import InputError
from mentormix_tf.inference import features, robust_gaussian, rog
from mentormix_tf.inference.rog import Head
from mentormix_tf.inference.survey import survey

CLASSES = 3


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    stack = [layers.Input((6, 6, 1)), layers.Conv2D(5, 3), layers.ReLU(), layers.Flatten()]
    return keras.Sequential([*stack, layers.Dense(7, "relu"), layers.Dense(CLASSES)])


@pytest.fixture(scope="module")
def images():
    return np.random.RandomState(0).normal(size=(90, 6, 6, 1)).astype(np.float32)


LABELS = np.arange(90) % CLASSES


def probabilities(gaussian, z):
    """Each class's probability by the densities of the Gaussians, all classes being as likely."""
    covariance = np.linalg.inv(gaussian.precision)
    logs = [scipy.stats.multivariate_normal.logpdf(z, mean, covariance) for mean in gaussian.means]
    return scipy.special.softmax(np.array(logs).T, axis=1)


@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_a_head_has_the_probabilities_of_the_gaussians(shift):
    random = np.random.RandomState(1)
    z = random.normal(size=(90, 4)) @ random.normal(size=(4, 4)) + shift
    z[:, 0] += LABELS
    gaussian = robust_gaussian.fit(z, LABELS, CLASSES)
    head = rog.of_gaussian("penultimate", gaussian)
    assert head.kernel.dtype == head.bias.dtype == np.float32
    found = scipy.special.softmax(z @ head.kernel.astype(np.float64) + head.bias, axis=1)
    np.testing.assert_allclose(found, probabilities(gaussian, z), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "chosen", [["convolution"], ["penultimate"], ["convolution", "penultimate"]]
)
def test_the_network_has_the_mean_probabilities_of_its_layers(network, images, chosen):
    batches = (images[start : start + 20] for start in range(0, 90, 20))
    heads = rog.fit(survey(network, batches, 90, chosen), LABELS, chosen)
    found = rog.with_heads(network, heads)
    *z, _ = features.model(network, *chosen)(images)
    gaussians = [robust_gaussian.fit(each.numpy(), LABELS, CLASSES) for each in z]
    expected = np.mean(
        [probabilities(g, each.numpy()) for g, each in zip(gaussians, z, strict=True)], axis=0
    )
    given = scipy.special.softmax(found.predict(images, verbose=0), axis=1)
    np.testing.assert_allclose(given, expected, rtol=1e-3, atol=1e-4)


def test_the_network_can_be_saved_and_shares_its_weights(network, images, tmp_path):
    chosen = ["convolution", "penultimate"]
    heads = rog.fit(survey(network, [images], 90, chosen), LABELS, chosen)
    found = rog.with_heads(network, heads)
    found.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(
        loaded.predict(images, verbose=0), found.predict(images, verbose=0)
    )
    own = {id(weight) for weight in found.weights}
    assert all(id(weight) in own for weight in network.weights[:4])


def test_examples_that_are_left_out_do_not_count(network, images):
    kept = np.arange(90) < 60
    spoiled = np.where(kept[:, None, None, None], images, 50.0).astype(np.float32)
    found = survey(network, [spoiled], 90, ["convolution"])
    [head] = rog.fit(found, LABELS, ["convolution"], kept)
    found = survey(network, [images[:60]], 60, ["convolution"])
    [expected] = rog.fit(found, LABELS[:60], ["convolution"])
    np.testing.assert_allclose(head.kernel, expected.kernel, rtol=1e-4)


def test_wrong_labels_that_the_softmax_has_memorized_do_not_count():
    """Classes that lie apart, a third of whose labels are wrong, in a network that copies them."""
    random = np.random.RandomState(0)
    true = np.arange(600) % CLASSES
    labels = np.where(random.uniform(size=600) < 0.33, (true + 1) % CLASSES, true)
    points = 4.0 * np.eye(CLASSES)[true] + random.normal(size=(600, CLASSES))
    gaussian = robust_gaussian.fit(points, labels, CLASSES)
    head = rog.of_gaussian("penultimate", gaussian)
    assert ((points @ head.kernel + head.bias).argmax(axis=1) == true).mean() > 0.97


def test_what_can_not_be_fitted_is_refused(network):
    names = ["a", "b", "c"]
    rog.check(network, ["convolution", "penultimate"], LABELS, names)
    flat = keras.Sequential([layers.Input((4,)), layers.Dense(5), layers.Dense(3)], name="flat")
    with pytest.raises(
        InputError,
        match=r"rog_layers=convolution: the network flat has no feature"
        r" maps .* choose --rog_layers=penultimate",
    ):
        rog.check(flat, ["convolution"], LABELS, names)
    pooled = keras.Sequential(
        [layers.Input((6, 6, 1)), layers.Conv2D(3, 3), layers.GlobalAveragePooling2D()]
    )
    with pytest.raises(
        InputError,
        match=r"rog_layers=penultimate: the network .* does not end "
        r"with a dense layer; choose --rog_layers=convolution",
    ):
        rog.check(pooled, ["penultimate"], LABELS, names)
    with pytest.raises(
        InputError, match="at least two training examples of each class, but c has 1: add some"
    ):
        rog.check(network, ["convolution"], np.array([0, 0, 1, 1, 2]), names)


def test_heads_of_another_network_are_refused(network):
    head = Head("convolution", np.zeros((9, CLASSES), np.float32), np.zeros(CLASSES, np.float32))
    with pytest.raises(ValueError, match="shape"):
        rog.with_heads(network, [head])

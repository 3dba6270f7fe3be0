"""The networks of keras.applications: names, preprocessing, sizes, and ImageNet weights."""

import re
import socket
import urllib.error
import urllib.request

import keras
import numpy as np
import pytest
from keras.applications import densenet, mobilenet, mobilenet_v3, vgg16

from mentormix_tf import InputError, networks
from mentormix_tf.networks import applications

VGG16_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
MOBILENET_FILE = "mobilenet_1_0_128_tf_no_top.h5"


def test_names_are_in_snake_case():
    names = set(networks.APPLICATIONS)
    assert len(names) >= 40
    assert names >= {
        "convnext_xlarge",
        "densenet121",
        "efficientnet_b5",
        "efficientnet_v2_b0",
        "efficientnet_v2_s",
        "inception_resnet_v2",
        "inception_v3",
        "mobilenet",
        "mobilenet_v2",
        "mobilenet_v3_large",
        "nasnet_mobile",
        "resnet50",
        "resnet101",
        "resnet152_v2",
        "vgg16",
        "xception",
    }


@pytest.mark.parametrize(
    ("name", "make", "preprocess_input"),
    [
        ("vgg16", keras.applications.VGG16, vgg16.preprocess_input),  # BGR less its mean
        ("mobilenet", keras.applications.MobileNet, mobilenet.preprocess_input),  # -1 to 1
        ("densenet121", keras.applications.DenseNet121, densenet.preprocess_input),  # mean, std
        ("mobilenet_v3_small", keras.applications.MobileNetV3Small, mobilenet_v3.preprocess_input),
    ],
)
def test_preprocessing_is_inside(name, make, preprocess_input):
    network = networks.build(name, (32, 32, 3), 5)
    *features, kernel, bias = network.get_weights()
    original = make(weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg")
    original.set_weights(features)
    images = np.random.RandomState(0).randint(256, size=(3, 32, 32, 3)).astype(np.float32)
    expected = original(preprocess_input(images.copy())).numpy() @ kernel + bias
    tolerance = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(network(images), expected, rtol=0.0, atol=tolerance)
    # The comparison can fail: images in another range give other logits.
    assert np.abs(network(images / 255.0) - expected).max() > 100.0 * tolerance


def test_gray_images_are_repeated():
    gray = networks.build("mobilenet", (32, 32, 1), 5)
    color = networks.build("mobilenet", (32, 32, 3), 5)
    color.set_weights(gray.get_weights())
    images = np.random.RandomState(0).randint(256, size=(2, 32, 32, 1)).astype(np.float32)
    np.testing.assert_array_equal(gray(images), color(np.repeat(images, 3, axis=-1)))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("mobilenet_v2", 3_538_984), ("resnet50", 25_636_712), ("inception_v3", 23_851_784)],
)
def test_published_sizes_for_imagenet(name, parameters):
    assert networks.build(name, (75, 75, 3), 1000).count_params() == parameters


@pytest.mark.parametrize("name", networks.APPLICATIONS)
def test_images_too_small(name):
    # Keras's own error names the smallest size.
    with pytest.raises(ValueError) as error:
        networks.APPLICATIONS[name](include_top=False, weights=None, input_shape=(90, 9, 3))
    smallest = int(re.search(r"at least (\d+)x", str(error.value))[1])
    for size in [(90, smallest - 1), (smallest - 1, 90)]:
        given = f"network={name} can't take images of {size[0]}x{size[1]} pixels"
        with pytest.raises(InputError, match=f"{given}: use --image_size={smallest} or"):
            networks.build(name, (*size, 3), 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet", *applications.MIN_SIZES])
def test_images_just_large_enough(name):
    smallest = applications.MIN_SIZES.get(name, applications.MIN_SIZE)
    assert networks.build(name, (smallest, smallest, 3), 10).output_shape == (None, 10)


def test_images_of_other_channels():
    with pytest.raises(
        InputError, match="network=resnet50 can't take images of 4 channels: use images of 1 or 3"
    ):
        networks.build("resnet50", (32, 32, 4), 10)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty folder for Keras's weights; Keras reads KERAS_HOME only at its first import."""
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


@pytest.fixture
def no_internet(monkeypatch):
    """Makes opening a URL fail; returns a list that collects the timeouts set at the time."""
    timeouts = []

    def urlopen(address, *args, **kwargs):
        timeouts.append(socket.getdefaulttimeout())
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return timeouts


def test_download_that_fails(cache, no_internet):
    with pytest.raises(InputError) as raised:
        networks.build("vgg16", (32, 32, 3), 10, pretrained=True)
    assert str(raised.value) == (
        "The ImageNet weights of network=vgg16 couldn't be loaded (URL fetch failure on "
        "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
        f"{VGG16_FILE}: None -- Name or service not known): call keras.applications.VGG16("
        "include_top=False, input_shape=(32, 32, 3)) on a machine with internet access, and copy "
        f"the file that it saves in ~/.keras/models to {cache}."
    )
    assert no_internet == [applications.DOWNLOAD_TIMEOUT]
    assert socket.getdefaulttimeout() is None


def test_download_that_stalls(cache, monkeypatch):
    class Stalled:
        def info(self):
            return {}

        def read(self, size):
            raise TimeoutError("The read operation timed out")

        def close(self):
            pass

    monkeypatch.setattr(urllib.request, "urlopen", lambda *args, **kwargs: Stalled())
    with pytest.raises(InputError, match=f"timed out.*: call .*VGG16.* and copy .* {cache}"):
        networks.build("vgg16", (32, 32, 3), 10, pretrained=True)


def test_weights_put_into_the_cache_are_used(cache, no_internet):
    # Keras has no checksum for MobileNet; the files of other networks must be the published ones.
    published = keras.applications.MobileNet(
        weights=None, include_top=False, input_shape=(128, 128, 3), pooling="avg"
    )
    published.save(cache / MOBILENET_FILE)
    network = networks.build("mobilenet", (128, 128, 3), 10, pretrained=True)
    assert not no_internet
    *features, kernel, bias = network.get_weights()
    for weight, expected in zip(features, published.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert kernel.shape == (1024, 10) and bias.shape == (10,)


def test_file_that_is_not_the_published_one_is_not_used(cache, no_internet):
    keras.applications.VGG16(weights=None, include_top=False, input_shape=(32, 32, 3)).save(
        cache / VGG16_FILE
    )
    with pytest.raises(InputError, match="network=vgg16 couldn't be loaded"):
        networks.build("vgg16", (32, 32, 3), 10, pretrained=True)


@pytest.mark.parametrize(("kind", "pretrained"), [(ValueError, False), (TypeError, True)])
def test_other_errors_are_not_hidden(monkeypatch, kind, pretrained):
    def broken(**kwargs):
        raise kind("no such option")

    monkeypatch.setitem(networks.APPLICATIONS, "resnet50", broken)
    with pytest.raises(kind, match="no such option") as raised:
        networks.build("resnet50", (32, 32, 3), 10, pretrained=pretrained)
    assert not isinstance(raised.value, InputError)

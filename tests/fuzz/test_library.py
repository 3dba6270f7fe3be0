"""Data and networks handed to `fit`, `evaluate` and `predict` of a user's own program."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError, MentorMix, Vanilla

pytestmark = pytest.mark.filterwarnings("ignore")
CLASSES = 5
X = np.random.RandomState(0).rand(12, 4, 4, 1).astype(np.float32)
Y = np.arange(12) % CLASSES
ROWS = np.eye(CLASSES, dtype=np.float32)[Y]
LABELS = {
    "numbers": Y,
    "a column": Y[:, None],
    "rows": ROWS,
    "soft rows": 0.9 * ROWS + 0.1 / CLASSES,
    "bytes": Y.astype(np.uint8),
    "whole floats": Y.astype(float),
    "out of range": Y + 1,
    "negative": Y - 1,
    "huge": Y + 2**40,
    "halves": Y + 0.5,
    "not a number": Y * np.nan,
    "rows times five": 5 * ROWS,
    "several classes": np.ones((12, CLASSES)),
    "no class": np.zeros((12, CLASSES)),
    "negative rows": 2 * ROWS - 1 / CLASSES,
    "other classes": np.eye(CLASSES + 1)[Y],
    "texts": Y.astype(str),
    "objects": np.array([None] * 12),
    "complex": Y * 1j,
    "pictures": X,
    "fewer": Y[:7],
    "nothing": None,
}
GOOD = ("numbers", "a column", "rows", "soft rows", "bytes", "whole floats")
IMAGES = {"floats": X, "doubles": X.astype(float), "bytes": (255 * X).astype(np.uint8)}


def arrays(x, y):
    return (x, y), {}


def pairs(x, y):
    return (tf.data.Dataset.from_tensor_slices((x, y)).batch(4),), {}


def dicts(x, y):
    return (tf.data.Dataset.from_tensor_slices({"image": x, "label": y}).batch(4),), {}


def generator(x, y):
    return (((x[i : i + 4], y[i : i + 4]) for i in range(0, 12, 4)),), {"steps_per_epoch": 3}


FORMS = {form.__name__: form for form in (arrays, pairs, dicts, generator)}


def compiled(method):
    layers = [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
    model = method(keras.Sequential(layers), num_classes=CLASSES)
    model.compile("sgd")
    return model


def outcome(model, form, images, labels):
    """The loss, or the error's sentence."""
    try:
        arguments, options = FORMS[form](IMAGES[images], LABELS[labels])
    except (TypeError, ValueError):  # TensorFlow makes no data set of it
        return None
    return model.fit(*arguments, **options, batch_size=None if form != "arrays" else 4, verbose=0)


def check(method, form, images, labels):
    model = compiled(method)
    try:
        history = outcome(model, form, images, labels)
    except (InputError, ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
        assert labels not in GOOD, f"{form}, {images}, {labels}: {error}"
        assert isinstance(error, InputError) or labels in ("fewer", "nothing", "objects", "texts")
    else:
        assert history is None or labels in GOOD, f"{form}, {images}, {labels} were trained on"
        assert history is None or np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize("labels", ["rows", "out of range", "halves", "rows times five"])
def test_some(labels):
    check(Vanilla, "pairs", "floats", labels)


@pytest.mark.slow
@pytest.mark.parametrize("method", [Vanilla, MentorMix])
@pytest.mark.parametrize(("form", "images"), itertools.product(FORMS, IMAGES))
def test_all(method, form, images):
    for labels in LABELS:
        check(method, form, images, labels)

"""O2U-Net's third stage begins with what the first began with."""

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf import methods
from mentormix_tf.distribution import keras_internals

STEPS = 10


def data(count=8):
    random = np.random.RandomState(0)
    columns = {
        "image": random.normal(size=(count, 6)).astype(np.float32),
        "label": random.randint(3, size=count),
        "index": np.arange(count),
    }
    return tf.data.Dataset.from_tensor_slices(columns).batch(count).repeat()


def build():
    keras.utils.set_random_seed(0)
    layers = [
        keras.layers.Input((6,)),
        keras.layers.Dense(5),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(3),
    ]
    model = methods.build(
        "o2u", keras.Sequential(layers), 3, 8, burn_in=0.2, cycling=0.4, cycles=1, ema_decay=0.9
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    return model


def weights(model):
    return [weight.numpy() for weight in model.network.weights]


def test_weights_statistics_momentum_and_averages_are_set_back():
    model, seen = build(), []
    start = weights(model)

    class Recorder(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            averages = [each.numpy() for each in model.weight_average.averages]
            slots = [each.numpy() for each in keras_internals.slots(model.optimizer)]
            seen.append((weights(model), averages, slots))

    model.fit(data(), steps_per_epoch=STEPS, verbose=0, callbacks=[Recorder()])
    for step, (now, _, slots) in enumerate(seen):
        for value, first in zip(now, start, strict=True):
            assert np.array_equal(value, first) == (step == 5)
        assert all(np.any(slot) == (step != 5) for slot in slots)
    trainable = [i for i, w in enumerate(model.network.weights) if w.trainable]
    for average, i in zip(seen[5][1], trainable, strict=True):
        np.testing.assert_allclose(average, start[i], atol=1e-7)


def test_a_second_fit_begins_with_the_weights_of_the_first():
    model = build()
    model.fit(data(), steps_per_epoch=STEPS, verbose=0)
    learned = weights(model)
    model.fit(data(), steps_per_epoch=6, verbose=0)
    copies = [each.numpy() for each in model.start_weights.copies]
    trainable = [i for i, w in enumerate(model.network.weights) if w.trainable]
    for copy, i in zip(copies, trainable, strict=False):
        np.testing.assert_array_equal(copy, learned[i])


def test_copies_are_saved_with_the_model(tmp_path):
    model = build()
    model.fit(data(), steps_per_epoch=STEPS, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for copy, other in zip(model.start_weights.copies, loaded.start_weights.copies, strict=True):
        np.testing.assert_array_equal(copy, other)

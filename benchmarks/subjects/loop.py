"""`fit` and the train command's loop against a `tf.function` written by hand, and Keras's `fit`.

Vanilla training, batches of 128 images of 32 x 32 pixels; a turn is twenty steps.
"""

import keras
import tensorflow as tf

from benchmarks import harness, steps
from benchmarks.harness import Measurement, Size
from mentormix_tf import networks

__all__ = ["measure"]

STEPS = 20


def by_hand(network, shape, data):
    """A function that takes steps of plain training, with nothing around them."""
    model = networks.build(network, shape, 10)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(model.trainable_variables)
    batches = iter(tf.data.Dataset.from_tensor_slices(data).repeat())

    @tf.function(autograph=False)
    def step(batch):
        with tf.GradientTape() as tape:
            logits = model(batch["image"], training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label"], logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    def run():
        for _ in range(STEPS):
            float(step(next(batches)))

    return run


def by_fit(network, shape, data):
    """A function that takes the steps of one `fit`."""
    model = steps.build("vanilla", network, shape)
    batches = tf.data.Dataset.from_tensor_slices(data).repeat()
    return lambda: model.fit(batches, steps_per_epoch=STEPS, epochs=1, verbose=0)


def by_keras(network, shape, data):
    """A function that takes the steps of one `fit` of a plain Keras model."""
    model = networks.build(network, shape, 10)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, jit_compile=False)
    batches = tf.data.Dataset.from_tensor_slices((data["image"], data["label"])).repeat()
    return lambda: model.fit(batches, steps_per_epoch=STEPS, epochs=1, verbose=0)


def by_command(network, shape, data):
    """A function that takes steps as the train command does."""
    step = steps.stepper(steps.build("vanilla", network, shape), data)

    def run():
        for _ in range(STEPS):
            step()

    return run


def measure(size: Size) -> list[Measurement]:
    """Measures the ways for each network."""
    found = []
    shape, batch = ((8, 8, 1), 16) if size.is_quick else ((32, 32, 3), 128)
    data = steps.columns(batch, shape)
    for network in ("small_cnn",) if size.is_quick else ("small_cnn", "resnet32_thin"):
        contenders = {
            "by hand": by_hand(network, shape, data),
            "train": by_command(network, shape, data),
            "fit": by_fit(network, shape, data),
            "Keras's fit": by_keras(network, shape, data),
        }
        times = harness.alternate(contenders, max(1, size.repetitions // 2))
        found += harness.summary(times, network, items=STEPS * batch)
    return found

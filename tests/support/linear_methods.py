"""Methods around a linear network, for comparing a loss or a step with an oracle."""

import keras
import tensorflow as tf

from mentormix_tf import methods
from mentormix_tf.methods.batch import Batch

CLASSES, SIZE, FEATURES = 4, 16, 7
CLOSE = dict(rtol=2e-4, atol=2e-5)


def build(name, **hyperparameters):
    """A method around logits = images @ weights, after 10 of 20 steps."""
    layers = [keras.layers.Input((FEATURES,)), keras.layers.Dense(CLASSES, use_bias=False)]
    model = methods.build(
        name, keras.Sequential(layers), CLASSES, SIZE + 2, seed=3, **hyperparameters
    )
    model.compile(keras.optimizers.SGD(0.5), run_eagerly=True)
    model.train_steps.assign(20)
    model.step.assign(10)
    return model


def losses_and_gradient(model, labels, logits, variables=(), index=None):
    """`example_losses`, and the gradients of their sum with respect to logits and variables."""
    logits = tf.constant(logits, tf.float32)
    batch = Batch(None, tf.constant(labels, tf.float32), index=index)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = model.example_losses(batch, logits)
    gradients = tape.gradient(losses, [logits, *(v.value for v in variables)])
    return losses, *gradients

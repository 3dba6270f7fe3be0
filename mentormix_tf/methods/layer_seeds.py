"""Seeds for layers that draw random numbers, such as Dropout."""

import keras
import tensorflow as tf

from mentormix_tf import randomness
from mentormix_tf.distribution import keras_internals

__all__ = ["seed_layers"]


def seed_layers(model: keras.Model, seed: tf.Tensor) -> None:
    """Sets the state of each layer's seed generator, so that its draws depend only on the seed.

    Args:
        model: the model whose layers draw.
        seed: `[2]`, int32.
    """
    for i, state in enumerate(keras_internals.seed_states(model)):
        state.assign(tf.cast(randomness.fold_in(seed, i), state.dtype))

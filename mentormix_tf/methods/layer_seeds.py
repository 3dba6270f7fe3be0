"""Seeds for layers that draw, such as Dropout."""

import tensorflow as tf

from mentormix_tf import randomness


def seed_layers(model, seed):
    """Sets the state of each seed generator, so that its draws are a function of the seed.

    Args:
        model: `keras.Model`.
        seed: `[2]`, int32.
    """
    states = [v for v in model.variables if v.name == "seed_generator_state"]
    for i, state in enumerate(states):
        state.assign(tf.cast(randomness.fold_in(seed, i), state.dtype))

r"""Trains MentorMix for 20 steps under a strategy and saves the results, for `test_replicas.py`.

    python -m tests.distribution.replica_run OUTPUT.npz STRATEGY REPLICAS JIT STEPS_PER_EXECUTION \
        SAM_RHO

Partners and λ are fixed: partners are otherwise drawn within a replica, so that the number of
replicas would change them.
"""

import sys

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf import MentorMix, mixing
from mentormix_tf.config import StrategyConfig
from mentormix_tf.distribution import strategies

STEPS, BATCH_SIZE = 20, 16


def fix_draws():
    """Partners within every four examples, and one λ."""
    mixing.sample_partners = lambda probabilities, seed: tf.bitwise.bitwise_xor(
        tf.range(tf.size(probabilities)), 3
    )
    mixing.sample_beta = lambda shape, alpha, seed: tf.fill(shape, 0.7)


def build(sam_rho):
    keras.utils.set_random_seed(0)
    stack = [
        keras.layers.Input((6, 6, 1)),
        keras.layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2"),
        keras.layers.Flatten(),
        keras.layers.Dense(5),
    ]
    settings = dict(gamma_p=0.6, alpha=2.0, burn_in=0.1, second_reweight=True, sam_rho=sam_rho)
    model = MentorMix(keras.Sequential(stack), 5, **settings)
    optimizer = keras.optimizers.SGD(0.3, momentum=0.9, global_clipnorm=0.5)
    return model, optimizer


def batches(context):
    """This worker's part of each global batch, with an element for each of its replicas."""
    random = np.random.RandomState(0)
    labels = random.randint(5, size=(STEPS, BATCH_SIZE))
    images = random.normal(size=(STEPS, BATCH_SIZE, 6, 6, 1)).astype(np.float32)
    part = context.get_per_replica_batch_size(BATCH_SIZE)
    workers = context.num_input_pipelines
    mine = slice(
        context.input_pipeline_id * BATCH_SIZE // workers,
        (context.input_pipeline_id + 1) * BATCH_SIZE // workers,
    )
    data = tf.data.Dataset.from_tensor_slices((images[:, mine], labels[:, mine]))
    return data.unbatch().batch(part, drop_remainder=True)


class Record(keras.callbacks.Callback):
    """Records the metrics after each execution, which are means since the epoch began."""

    def on_train_begin(self, logs=None):
        self.logs = []

    def on_train_batch_end(self, batch, logs=None):
        self.logs.append([float(logs[name]) for name in ("loss", "gamma", "mean_v", "accuracy")])


def main(output, name, num_replicas, jit, steps_per_execution, sam_rho):
    virtual = int(num_replicas) if name == "mirrored" else 0
    strategy = strategies.get(StrategyConfig(strategy=name, num_virtual_devices=virtual))
    assert strategy.num_replicas_in_sync == int(num_replicas)
    fix_draws()
    with strategy.scope():
        model, optimizer = build(float(sam_rho))
        model.compile(
            optimizer,
            metrics=["accuracy"],
            jit_compile=jit == "jit",
            steps_per_execution=int(steps_per_execution),
        )
    record = Record()
    data = strategy.distribute_datasets_from_function(batches)
    model.fit(data, steps_per_epoch=STEPS, callbacks=[record], verbose=0, shuffle=False)
    weights = np.concatenate([np.ravel(value) for value in model.network.get_weights()])
    gammas = [float(mentor.gamma.numpy()) for mentor in (model.mentor, model.second_mentor)]
    if strategies.is_chief(strategy):
        np.savez(output, last=record.logs[-1], logs=record.logs, gammas=gammas, weights=weights)
    strategies.wait_for_all(strategy)


if __name__ == "__main__":
    main(*sys.argv[1:])

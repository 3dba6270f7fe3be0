"""O2U-Net: what a network forgets and learns again, as its learning rate cycles, is suspicious."""

import keras
import tensorflow as tf

from mentormix_tf.distribution import replicas
from mentormix_tf.errors import InputError
from mentormix_tf.methods.example_table import ExampleTable
from mentormix_tf.methods.indexed import IndexedModel

LOWEST = 0.1  # of the learning rate, where a cycle ends


@keras.saving.register_keras_serializable("mentormix_tf")
class O2UNet(IndexedModel):
    """O2U-Net (Huang, Qu, Jia and Zhao, ICCV 2019), in one run of three stages.

    1. Burn-in: cross-entropy at a constant learning rate, until wrong labels are learned, too.
    2. The learning rate falls in a line to a tenth of itself, and jumps back, `cycles` times. Each
       example's losses, less the mean of their batch, are averaged.
    3. The `drop_rate` of the examples with the highest averages gets weight 0.

    `burn_in` and `cycling` are the fractions of stages 1 and 2. The published stages have 250
    epochs each, with cycles of 10, and drop as much as the noise rate.

    What differs: the paper trains stage 3 anew from random weights, and the authors' code from
    those that stage 1 ended with, both with a new optimizer. Here training goes on from those
    that stage 2 ended with. The mean that is subtracted is that of the batch, not of the epoch;
    and stage 2 has the batch size of the others, where theirs is 16.

    The train command shapes the learning rate by `shape_schedule`, and lets it fall along a cosine
    in stage 3. Who calls `compile` gives that schedule to the optimizer.

    Args:
        network: Keras network that gives logits `[batch, num_classes]`.
        num_classes: number of classes.
        num_examples: how many training examples there are.
        burn_in: fraction of training, in [0, 1], in which every label is trusted.
        cycling: fraction of training in which the learning rate cycles; burn_in + cycling < 1.
        cycles: how many cycles there are, at least 1.
        drop_rate: share of the examples that are left out after that, in [0, 1).
        seed: see `NoisyLabelModel`.

    Raises:
        InputError: an argument out of range.
    """

    def __init__(
        self,
        network,
        num_classes: int,
        num_examples: int,
        *,
        burn_in: float = 0.33,
        cycling: float = 0.33,
        cycles: int = 25,
        drop_rate: float = 0.4,
        **kwargs,
    ):
        super().__init__(network, num_classes, num_examples, **kwargs)
        if not (burn_in > 0.0 and cycling > 0.0 and burn_in + cycling < 1.0):
            raise InputError(
                f"burn_in={burn_in} and cycling={cycling} must be positive fractions of training "
                "that leave some of it for the last stage."
            )
        if cycles < 1:
            raise InputError(f"cycles={cycles} must be at least 1.")
        if not 0.0 <= drop_rate < 1.0:
            raise InputError(f"drop_rate={drop_rate} must lie in [0, 1).")
        self.burn_in = burn_in
        self.cycling = cycling
        self.cycles = cycles
        self.drop_rate = drop_rate
        self.loss_sums = ExampleTable(self, "loss_sums", num_examples)
        self.loss_counts = ExampleTable(self, "loss_counts", num_examples)
        self.highest = self.add_weight(  # mean loss that is kept
            name="highest",
            shape=(),
            dtype="float32",
            initializer=keras.initializers.Constant(float("inf")),
            trainable=False,
            aggregation="only_first_replica",
        )

    def shape_schedule(self, schedule, learning_rate, train_steps):
        return O2USchedule(learning_rate, train_steps, self.burn_in, self.cycling, self.cycles)

    def begin_training(self, train_steps, first_step=0):
        super().begin_training(train_steps, first_step)
        if self.progress() < self.burn_in:  # what an earlier training recorded does not count
            self.loss_sums.reset()
            self.loss_counts.reset()

    def example_weights(self, batch, losses):
        means = _mean(self.loss_sums.look_up(batch.index), self.loss_counts.look_up(batch.index))
        kept = (means <= self.highest) | (self.progress() < self._end_of_cycling())
        return tf.where(tf.math.is_nan(means), means, tf.cast(kept, tf.float32))

    def after_step(self, batch, logits):
        losses = replicas.gather(self.example_losses(batch, logits))
        index = replicas.gather(batch.index)
        progress = self.progress()
        burns_in = progress < self.burn_in
        cycles = ~burns_in & (progress < self._end_of_cycling())
        counted = tf.cast(cycles, tf.float32)
        self.loss_sums.add(index, counted * (losses - tf.reduce_mean(losses)))
        self.loss_counts.add(index, counted * tf.ones_like(losses))
        # Sorting all examples takes time, so it waits for the last step of stage 2.
        next_step = tf.cast(self.step + 1 - self.first_step, tf.float32)
        is_over = next_step / tf.cast(self.train_steps, tf.float32) >= self._end_of_cycling()
        highest = tf.cond(
            cycles & is_over,
            self._highest_kept,
            lambda: tf.where(burns_in, float("inf"), tf.convert_to_tensor(self.highest)),
        )
        self.highest.assign(highest)

    def _highest_kept(self):
        """The mean loss that a share of 1 - `drop_rate` of all examples does not exceed."""
        means = _mean(
            tf.convert_to_tensor(self.loss_sums.variable),
            tf.convert_to_tensor(self.loss_counts.variable),
        )
        return keras.ops.quantile(means, 1.0 - self.drop_rate, method="lower")

    def _end_of_cycling(self):
        return self.burn_in + self.cycling


def _mean(sums, counts):
    """Mean losses in stage 2 so far, 0 for an example that was not seen."""
    return sums / tf.maximum(counts, 1.0)


@keras.saving.register_keras_serializable("mentormix_tf")
class O2USchedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of the three stages: constant, in cycles, along a cosine to 0.

    Args:
        learning_rate: the rate of stage 1, and the highest of stage 2.
        train_steps: how many steps there are.
        burn_in, cycling, cycles: see `O2UNet`.
    """

    def __init__(self, learning_rate, train_steps, burn_in, cycling, cycles):
        self.learning_rate = learning_rate
        self.train_steps = train_steps
        self.burn_in = burn_in
        self.cycling = cycling
        self.cycles = cycles

    def __call__(self, step):
        progress = tf.cast(step, tf.float32) / self.train_steps
        in_cycling = (progress - self.burn_in) / self.cycling
        in_cycle = in_cycling * self.cycles
        in_cycle -= tf.floor(in_cycle)
        in_last = (progress - self.burn_in - self.cycling) / (1.0 - self.burn_in - self.cycling)
        in_last = tf.clip_by_value(in_last, 0.0, 1.0)
        cycled = 1.0 - (1.0 - LOWEST) * in_cycle
        last = 0.5 + 0.5 * tf.cos(3.141592653589793 * in_last)
        share = tf.where(in_cycling < 0.0, 1.0, tf.where(in_cycling < 1.0, cycled, last))
        return self.learning_rate * share

    def get_config(self):
        return {
            "learning_rate": self.learning_rate,
            "train_steps": self.train_steps,
            "burn_in": self.burn_in,
            "cycling": self.cycling,
            "cycles": self.cycles,
        }

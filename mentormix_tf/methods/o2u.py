"""O2U-Net: examples whose loss is high while the learning rate cycles are probably mislabeled."""

from typing import Any

import keras
import tensorflow as tf

from mentormix_tf.distribution import keras_internals, replicas
from mentormix_tf.errors import InputError
from mentormix_tf.methods.batch import Batch
from mentormix_tf.methods.example_table import ExampleTable
from mentormix_tf.methods.indexed import IndexedModel
from mentormix_tf.methods.start_weights import StartWeights

__all__ = ["LOWEST", "O2UNet", "O2USchedule"]

LOWEST = 0.1  # factor of the learning rate at the end of a cycle


@keras.saving.register_keras_serializable("mentormix_tf")
class O2UNet(IndexedModel):
    """O2U-Net (Huang, Qu, Jia and Zhao, ICCV 2019), in one run of three stages.

    1. Burn-in: cross-entropy at a constant learning rate, until even wrong labels are learned.
    2. The learning rate decays linearly to a tenth of itself and is reset, `cycles` times. For
       each example, the loss minus the mean loss of its batch is averaged over its occurrences.
    3. Training begins again with the weights that it began with in stage 1 and with a new
       optimizer, without the share `drop_rate` of the examples with the highest averages: these
       get weight 0, and the others more, so that their mean weight stays 1.

    `burn_in` and `cycling` are the fractions of stages 1 and 2. The published stages have 250
    epochs each, with cycles of 10 epochs, and the noise rate as drop rate.

    Differences from the published method: the authors' code begins stage 3 with the weights at the
    end of stage 1; its batches are full without the examples that are left out, and those of stage
    2 have 16 examples; in stages 1 and 3 the learning rate is halved after a quarter and is a tenth
    after half. The mean that is subtracted is that of the batch, not of the epoch.

    The train command uses the learning rates of `shape_schedule`, with cosine decay in stage 3. If
    you call `compile` yourself, pass this schedule to the optimizer.

    Args:
        network: Keras network that returns logits `[batch, num_classes]`.
        num_classes: number of classes.
        num_examples: number of training examples.
        burn_in: fraction of training, in [0, 1], in which every label is trusted.
        cycling: fraction of training in which the learning rate cycles; burn_in + cycling < 1.
        cycles: number of cycles of the learning rate, at least 1.
        drop_rate: share of the examples that are left out after the cycles, in [0, 1).
        **kwargs: see `NoisyLabelModel`.

    Raises:
        InputError: an argument is out of range.
    """

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        num_examples: int,
        *,
        burn_in: float = 0.33,
        cycling: float = 0.33,
        cycles: int = 25,
        drop_rate: float = 0.4,
        **kwargs: Any,
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
        self.start_weights = StartWeights(name="start_weights")
        if self.built:
            self.start_weights.create(self._restored())
        self.highest = self.add_weight(  # mean loss of the examples that are kept
            name="highest",
            shape=(),
            dtype="float32",
            initializer=keras.initializers.Constant(float("inf")),
            trainable=False,
            aggregation="only_first_replica",
        )

    def shape_schedule(
        self,
        schedule: keras.optimizers.schedules.LearningRateSchedule,
        learning_rate: float,
        train_steps: int,
    ) -> "O2USchedule":
        return O2USchedule(learning_rate, train_steps, self.burn_in, self.cycling, self.cycles)

    def begin_training(self, train_steps: int, first_step: int = 0) -> None:
        super().begin_training(train_steps, first_step)
        if self.progress() < self.burn_in:  # forget what an earlier training recorded
            self.loss_sums.reset()
            self.loss_counts.reset()
        if self.step == first_step:
            self.start_weights.remember(self._restored())

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if not self.start_weights.built:
            self.start_weights.create(self._restored())

    def example_weights(self, batch: Batch, losses: tf.Tensor) -> tf.Tensor:
        index: Any = batch.index  # not None, by `uses_index`
        means = _mean(self.loss_sums.look_up(index), self.loss_counts.look_up(index))
        is_last = self.progress() >= self._end_of_cycling()
        kept = tf.cast(means <= self.highest, tf.float32) / (1.0 - self.drop_rate)
        return tf.where(tf.math.is_nan(means), means, tf.where(is_last, kept, 1.0))

    def after_step(self, batch: Batch, logits: tf.Tensor) -> None:
        losses = replicas.gather(self.example_losses(batch, logits))
        index = replicas.gather(batch.index)  # pyright: ignore[reportArgumentType]
        progress = self.progress()
        burns_in = progress < self.burn_in
        cycles = tf.logical_not(burns_in) & (progress < self._end_of_cycling())
        counted = tf.cast(cycles, tf.float32)
        self.loss_sums.add(index, counted * (losses - tf.reduce_mean(losses)))
        self.loss_counts.add(index, counted * tf.ones_like(losses))
        # Sorting all examples takes long, so it is done once, at the last step of stage 2.
        next_step = tf.cast(self.step + 1 - self.first_step, tf.float32)
        is_over = next_step / tf.cast(self.train_steps, tf.float32) >= self._end_of_cycling()
        highest = tf.cond(
            cycles & is_over,
            self._highest_kept,
            lambda: tf.where(burns_in, float("inf"), tf.convert_to_tensor(self.highest)),
        )
        self.highest.assign(highest)
        self._restart(cycles & is_over)

    def _restart(self, now):
        """Sets weights, their averages and the optimizer back, if it is time."""
        self.start_weights.restore(self._restored(), now)
        slots = keras_internals.slots(self.optimizer)
        replicas.assign(slots, [tf.where(now, tf.zeros_like(v.value), v.value) for v in slots])
        if self.ema_decay:
            averages, weights = self.weight_average.averages, self._averaged_weights()
            values = [tf.cast(tf.convert_to_tensor(weight), tf.float32) for weight in weights]
            pairs = zip(averages, values, strict=True)
            replicas.assign(averages, [tf.where(now, new, old.value) for old, new in pairs])

    def _restored(self):
        """The network's weights that training changes, BatchNorm's statistics among them."""
        network = self.network
        return [*network.trainable_variables, *keras_internals.moving_statistics(network)]

    def _highest_kept(self):
        """The mean loss that the share 1 - `drop_rate` of all examples does not exceed."""
        means = _mean(
            tf.convert_to_tensor(self.loss_sums.variable),
            tf.convert_to_tensor(self.loss_counts.variable),
        )
        return keras.ops.quantile(means, 1.0 - self.drop_rate, method="lower")

    def _end_of_cycling(self):
        return self.burn_in + self.cycling


def _mean(sums, counts):
    """Mean losses in stage 2 so far; 0 for an example without any."""
    return sums / tf.maximum(counts, 1.0)


@keras.saving.register_keras_serializable("mentormix_tf")
class O2USchedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate in the three stages: constant, cyclic, cosine decay to 0.

    Args:
        learning_rate: the rate of stage 1, and the highest rate of stages 2 and 3.
        train_steps: number of steps of the whole training.
        burn_in: see `O2UNet`.
        cycling: see `O2UNet`.
        cycles: see `O2UNet`.
    """

    def __init__(
        self, learning_rate: float, train_steps: int, burn_in: float, cycling: float, cycles: int
    ):
        self.learning_rate = learning_rate
        self.train_steps = train_steps
        self.burn_in = burn_in
        self.cycling = cycling
        self.cycles = cycles

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
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

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "train_steps": self.train_steps,
            "burn_in": self.burn_in,
            "cycling": self.cycling,
            "cycles": self.cycles,
        }

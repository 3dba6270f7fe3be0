"""The train step that all methods share, and the hooks by which they differ.

`mix` makes the batch that the network is trained on, `example_losses` computes each example's loss
and `example_weights` its weight. A method overrides the hooks that it needs.
"""

import contextlib
import dataclasses
from typing import Any

import keras
import tensorflow as tf

from mentormix_tf import randomness
from mentormix_tf.config import codec
from mentormix_tf.distribution import keras_internals, replicas
from mentormix_tf.errors import InputError
from mentormix_tf.methods import hyperparameters, network_checks, sam
from mentormix_tf.methods import labels as label_forms
from mentormix_tf.methods.batch import Batch, StepData
from mentormix_tf.methods.example_statistics import ExampleStatistics
from mentormix_tf.methods.layer_seeds import seed_layers
from mentormix_tf.methods.network_passes import NetworkPasses
from mentormix_tf.methods.watch import Watch
from mentormix_tf.methods.weight_average import WeightAverage

__all__ = ["NoisyLabelModel"]


class NoisyLabelModel(NetworkPasses):
    """A Keras model whose `fit` trains a network on noisy labels.

    Wraps any Keras network and is used like one, with `compile`, `fit`, `evaluate`, `predict` and
    `save`, under any strategy. The method defines the loss, so `compile` takes none. Batches are
    `(images, labels)` with labels as integers `[batch]` or one-hot `[batch, num_classes]`, or dicts
    with the keys `image` and `label`. `model.network` is the trained network alone.

    Args:
        network: Keras network from images `[batch, height, width, channels]` to logits
            `[batch, num_classes]`.
        num_classes: number of classes, at least 2.
        seed: every random draw, including those of the network's layers, is a function of the
            seed, the step and the replica.
        label_smoothing: share of each training label that is spread evenly over all classes, below
            1 (Szegedy et al., "Rethinking the Inception Architecture", 2016, section 7). Below 0,
            other classes count against the label (Wei et al., "To Smooth or Not?", ICML 2022).
        weight_decay: adds weight_decay · Σ W² over the kernels of convolutions and dense layers to
            the loss, but not biases or BatchNorm. (The released code's 2e-4 · Σ ½W² is 1e-4 here.)
        sam_rho: length of SAM's step uphill, 0 or more: a step's gradient is taken at the weights
            w + sam_rho·g/‖g‖ instead of at w, where g is the gradient at w, see `sam`, which takes
            about twice as long (Foret et al., ICLR 2021). 0 for plain training; 0.05 is usual.
        ema_decay: decay of the moving average of the network's weights, in [0, 1), see
            `averaged`; 0 keeps no average. The network must be built.
        audit_examples: number of training examples, to record statistics of each for an audit of
            the labels, see `ExampleStatistics`; 0 records none. Batches must have an `index`.
        logit_clip: τ, the largest Euclidean norm of an example's logits in training: longer ones
            are scaled to it (LogitClip, Wei et al., ICML 2023); 0 for no limit.
        **kwargs: `name` and other arguments of `keras.Model`.

    Raises:
        InputError: the network does not return `num_classes` logits, or ends in a softmax.
    """

    burn_in = 0.0
    uses_index = False  # whether each batch must have an `index`

    def __init__(
        self,
        network: keras.Model,
        num_classes: int,
        seed: int = 0,
        label_smoothing: float = 0.0,
        weight_decay: float = 0.0,
        sam_rho: float = 0.0,
        ema_decay: float = 0.0,
        audit_examples: int = 0,
        logit_clip: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if num_classes < 2:
            raise InputError(f"num_classes={num_classes} must be at least 2.")
        sam.check_rho(sam_rho)
        self.network = network
        self.num_classes = num_classes
        self.seed = seed
        self.label_smoothing = label_smoothing
        self.logit_clip = logit_clip
        self.weight_decay = weight_decay
        self.sam_rho = sam_rho
        # An optimizer that accumulates gradients counts fewer iterations than steps.
        self.step = self._counter("step")
        self.first_step = self._counter("first_step")  # at which this `fit` began
        self.train_steps = self._counter("train_steps")  # of this `fit`; 0 before the first
        self.watch = Watch(name="watch")
        self.ema_decay = ema_decay
        if ema_decay:
            self.weight_average = WeightAverage(ema_decay, name="weight_average")
        if audit_examples:
            self.statistics = ExampleStatistics(self, audit_examples, num_classes, self.watch)
        self.audit_examples = audit_examples
        self.uses_index = self.uses_index or audit_examples > 0
        self.image_shape: tuple[int | None, ...] | None = None  # known from the first pass on
        if network.built and hasattr(network, "output_shape"):
            network_checks.check_output_shape(network.output_shape, num_classes)
            self.built = True
        if not keras_internals.has_unbuilt_layers(network):
            self._start_average()
        network_checks.check_no_softmax(network)

    # Hooks that methods override.

    def mix(self, batch: Batch) -> Batch:
        """Makes the batch that the network is trained on; no gradient flows through it.

        Args:
            batch: the batch as given, with labels as probabilities.

        Returns:
            A `Batch` with images and labels of the same shapes and dtypes. By default, `batch`.
        """
        return batch

    def example_losses(self, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        """Computes the loss of each example; changes no variable, as SAM calls it twice a step.

        Args:
            batch: the batch that `mix` returned.
            logits: `[batch, num_classes]`, float32.

        Returns:
            `[batch]`, float32. By default, the cross-entropy in nats.
        """
        return tf.nn.softmax_cross_entropy_with_logits(batch.labels, logits)

    def example_weights(self, batch: Batch, losses: tf.Tensor) -> tf.Tensor:
        """Computes the weight of each example; no gradient flows through it.

        Args:
            batch: the batch that `mix` returned, with the `logits` of the network.
            losses: `[batch]`, float32, from `example_losses`.

        Returns:
            `[batch]`, float32. By default, all 1.
        """
        return tf.ones_like(losses)

    def regularization(self) -> tf.Tensor:
        """Computes the term that is added to the mean loss, once for the global batch.

        Called after each pass through the network.

        Returns:
            Scalar, float32. By default, the losses of the network's own regularizers, plus weight
            decay.
        """
        losses = [tf.cast(loss, tf.float32) for loss in self.losses]
        own = tf.add_n(losses) if losses else tf.constant(0.0)
        return own + self.weight_decay * self.squared_kernels() if self.weight_decay else own

    def after_step(self, batch: Batch, logits: tf.Tensor) -> None:
        """Updates the method's own variables, at the end of each step.

        Args:
            batch: the batch that `mix` returned.
            logits: `[batch, num_classes]`, float32, from the step's forward pass.
        """

    def begin_training(self, train_steps: int, first_step: int = 0) -> None:
        """Prepares for training; called outside the replicas before it starts or is resumed.

        Args:
            train_steps: number of steps of the whole training.
            first_step: value of `step` at which the training began.
        """
        self.train_steps.assign(train_steps)
        self.first_step.assign(first_step)
        if self.audit_examples and self.step == first_step:
            self.statistics.reset()  # forget what an earlier training recorded
        if self.ema_decay and not self.weight_average.built:
            raise InputError(
                f"ema_decay={self.ema_decay} needs a network that is built: begin it with "
                "keras.Input, or call it on a batch first."
            )

    def shape_schedule(
        self,
        schedule: keras.optimizers.schedules.LearningRateSchedule,
        learning_rate: float,
        train_steps: int,
    ) -> keras.optimizers.schedules.LearningRateSchedule:
        """Chooses the learning rate schedule for the train command.

        Args:
            schedule: the schedule that the command's flags describe.
            learning_rate: the initial learning rate.
            train_steps: number of steps of the whole training.

        Returns:
            A learning rate for each step. By default, `schedule`.
        """
        return schedule

    def trained_networks(self) -> list[keras.Model]:
        """Lists the networks that are trained. By default, `network` alone."""
        return [self.network]

    # Building blocks for hooks, which also record values in `watch`.

    def squared_kernels(self) -> tf.Tensor:
        """Computes Σ W² over the kernels of the networks' convolutions and dense layers.

        Returns:
            Scalar, float32.
        """
        kernels = [w for each in self.trained_networks() for w in keras_internals.kernels(each)]
        return tf.add_n([tf.reduce_sum(tf.square(tf.cast(w, tf.float32))) for w in kernels])

    def progress(self) -> tf.Tensor:
        """Returns the fraction of this `fit` that is done.

        Returns:
            Scalar, float32, in [0, 1]; 1 before the first `fit`.
        """
        done = tf.cast(self.step - self.first_step, tf.float32)
        length = tf.cast(self.train_steps, tf.float32)
        return tf.where(length > 0.0, tf.clip_by_value(done / length, 0.0, 1.0), 1.0)

    def step_seed(self) -> tf.Tensor:
        """Returns the seed for this step's draws, which differs between steps and replicas.

        Returns:
            `[2]`, int32; see `randomness.fold_in` for deriving further seeds.
        """
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        by_step = randomness.fold_in([self.seed, 0], self.step)
        return randomness.fold_in(by_step, replica)

    def mixed(self, data: StepData) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Applies `mix` to a batch as at this step, without changing any variable.

        Args:
            data: a batch, as `fit` takes it.

        Returns:
            Images `[batch, ...]`, labels `[batch, num_classes]` and λ `[batch]`, all float32; λ is
            NaN if the method does not mix.
        """
        given = Batch.read(data, type(self).__name__)
        with keras.StatelessScope():
            batch = self.mix(self._with_probabilities(given))
        unknown = tf.fill(tf.shape(batch.labels)[:1], float("nan"))
        return batch.images, batch.labels, unknown if batch.lam is None else batch.lam

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Replaces the network's weights by their moving averages: `with model.averaged(): ...`."""
        return self.weight_average.in_place_of(self._averaged_weights())

    # The interface of `keras.Model`.

    def call(
        self, inputs: tf.Tensor | dict[str, tf.Tensor], training: bool | None = None
    ) -> tf.Tensor:
        images = inputs["image"] if isinstance(inputs, dict) else inputs
        self.image_shape = tuple(images.shape[1:])
        logits = self.network(images, training=training)
        network_checks.check_output_shape(getattr(logits, "shape", ()), self.num_classes)
        return logits

    def build(self, input_shape: Any) -> None:
        shape = input_shape["image"] if isinstance(input_shape, dict) else input_shape
        if keras_internals.has_unbuilt_layers(self.network):
            # A symbolic pass, since a subclassed network's `build` need not build its layers.
            self.network(keras.KerasTensor((None, *shape[1:])))
        self._start_average()
        self.built = True

    def _start_average(self):
        if self.ema_decay and not self.weight_average.built:
            self.weight_average.start(self._averaged_weights())

    def _averaged_weights(self):
        """The weights that training may change, in the order of the network's weights.

        Those that are frozen at present are among them, as they may be unfrozen later.
        """
        return keras_internals.learnable_weights(self.network)

    def train_step(self, data: StepData) -> dict[str, tf.Tensor]:
        given = self._read(data, for_training=True)
        replicas.check_part(given.images)
        self._seed_layers()
        # Mixed before the tape starts, so that no gradient can flow through it.
        unmixed = self._with_probabilities(given)
        batch = self.mix(unmixed)
        with tf.GradientTape() as tape:
            logits, regularization = self.learning_pass(batch.images)
            losses = self.example_losses(batch, logits)
            batch = dataclasses.replace(batch, logits=tf.stop_gradient(logits))
            weights = self.example_weights(batch, tf.stop_gradient(losses))
            factors = tf.stop_gradient(weights)
            if given.example_weight is not None:
                factors *= given.example_weight
            losses *= factors
            loss = self._share_of_mean(losses, regularization)
        gradients = tape.gradient(loss, self.trainable_weights)
        if self.sam_rho:
            gradients = self._gradients_uphill(gradients, batch, factors)
        replicas.apply_gradients(self.optimizer, gradients, self.trainable_weights)
        networks = self.trained_networks()
        replicas.average([v for each in networks for v in keras_internals.moving_statistics(each)])
        self.after_step(batch, logits)
        if self.audit_examples:
            self.statistics.record(unmixed, batch, weights, self.progress() < 0.5)
        if self.ema_decay:
            self.weight_average.update(self._averaged_weights(), self.step)
        self.step.assign_add(1)
        self.update_metrics(losses + regularization, batch.labels, given.labels, logits)
        return self.get_metrics_result()

    def test_step(self, data: StepData) -> dict[str, tf.Tensor]:
        given = self._read(data, for_training=False)
        one_hot = label_forms.one_hot(given.labels, self.num_classes)
        logits = self._logits(given.images, training=False)
        # Whatever loss the method minimizes, an evaluation reports the cross-entropy.
        losses = tf.nn.softmax_cross_entropy_with_logits(one_hot, logits) + self.regularization()
        self.update_metrics(losses, one_hot, given.labels, logits, given.weight)
        return self.get_test_result()

    def get_config(self) -> dict[str, Any]:
        network_checks.check_can_be_saved(self.network)
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
            "num_classes": self.num_classes,
            "seed": self.seed,
            "label_smoothing": self.label_smoothing,
            "logit_clip": self.logit_clip,
            "weight_decay": self.weight_decay,
            "sam_rho": self.sam_rho,
            "ema_decay": self.ema_decay,
            "audit_examples": self.audit_examples,
            **{name: getattr(self, name) for name in hyperparameters.names(type(self))},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "NoisyLabelModel":
        network = keras.saving.deserialize_keras_object(config["network"])
        config = {codec.RENAMED.get(name, name): value for name, value in config.items()}
        return cls(**{**config, "network": network})

    def _read(self, data, for_training):
        needs_index = for_training and self.uses_index
        given = Batch.read(data, type(self).__name__, needs_index, for_training)
        labels = label_forms.checked(given.labels, self.num_classes)
        return dataclasses.replace(given, labels=labels)

    def _with_probabilities(self, given):
        labels = label_forms.smoothed(given.labels, self.num_classes, self.label_smoothing)
        return dataclasses.replace(given, labels=labels)

    def _share_of_mean(self, losses, regularization):
        """This replica's share of the global mean, since gradients are summed over replicas."""
        mean = tf.reduce_sum(losses) / replicas.global_size(losses)
        return self.optimizer.scale_loss(mean + regularization / replicas.count())

    def _gradients_uphill(self, gradients, batch, factors):
        """The gradients at SAM's weights, for the same batch, dropout and factors of the losses."""
        weights = sam.uphill(self.trainable_weights, gradients, self.sam_rho)
        self._seed_layers()
        with tf.GradientTape() as tape:
            tape.watch(weights)
            logits, regularization = self.uphill_pass(batch.images, weights)
            with sam.in_place_of(self.trainable_weights, weights):
                losses = factors * self.example_losses(batch, logits)
            loss = self._share_of_mean(losses, regularization)
        return tape.gradient(loss, weights)

    def _seed_layers(self):
        seed_layers(self, randomness.fold_in(self.step_seed(), 2))

    def _counter(self, name):
        return self.add_weight(
            name=name,
            shape=(),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )

"""The train step that all methods share, and the three hooks that tell them apart.

`mix` says what the network is shown, `example_losses` what an example costs and `example_weights`
how much it counts. A method overrides those that it answers differently.
"""

import dataclasses

import keras
import tensorflow as tf

from mentormix_tf import randomness
from mentormix_tf.distribution import keras_internals, replicas
from mentormix_tf.errors import InputError
from mentormix_tf.methods import hyperparameters, network_checks
from mentormix_tf.methods import labels as label_forms
from mentormix_tf.methods.batch import Batch
from mentormix_tf.methods.layer_seeds import seed_layers
from mentormix_tf.methods.measured_model import MeasuredModel
from mentormix_tf.methods.training_length import TrainingLength
from mentormix_tf.methods.watch import Watch
from mentormix_tf.methods.weight_average import WeightAverage


class NoisyLabelModel(MeasuredModel):
    """A Keras model whose `fit` trains a network on noisy labels.

    Wraps any Keras network and is used like one, with `compile`, `fit`, `evaluate`, `predict` and
    `save`, under any strategy; the method defines the loss, so `compile` takes none. Batches are
    `(images, labels)` with labels as integers `[batch]` or one-hot `[batch, num_classes]`, or dicts
    with the keys `image` and `label`. `model.network` is the trained network alone.

    Args:
        network: Keras network from images `[batch, height, width, channels]` to logits
            `[batch, num_classes]`.
        num_classes: number of classes, at least 2.
        seed: all random draws, those of the network's layers too, come from it, the step and the
            replica.
        label_smoothing: in [0, 1), share of each training label that is spread over all classes
            (Szegedy et al., "Rethinking the Inception Architecture", 2016, section 7).
        weight_decay: adds weight_decay · Σ W² over the kernels of convolutions and dense layers to
            the loss; biases and BatchNorm go free (released code, whose 2e-4 · Σ ½W² is 1e-4 here).
        average_decay: in [0, 1), decay of the moving average of the network's weights, which
            `averaged` shows; 0 keeps none. The network must be built.
        **kwargs: `name` and whatever else `keras.Model` takes.

    Raises:
        InputError: a network that does not give `num_classes` logits, or ends in a softmax.
    """

    burn_in = 0.0
    uses_index = False  # whether batches must say which training example is which

    def __init__(
        self,
        network,
        num_classes: int,
        seed=0,
        label_smoothing=0.0,
        weight_decay=0.0,
        average_decay=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if num_classes < 2:
            raise InputError(f"num_classes={num_classes} must be at least 2.")
        self.network = network
        self.num_classes = num_classes
        self.seed = seed
        self.label_smoothing = label_smoothing
        self.weight_decay = weight_decay
        # Of its own: an optimizer that accumulates gradients counts fewer iterations than steps.
        self.step = self._counter("step")
        self.first_step = self._counter("first_step")  # where this `fit` began
        self.train_steps = self._counter("train_steps")  # how long it is; 0 before the first
        self.watch = Watch(name="watch")
        self.average_decay = average_decay
        if average_decay:
            self.weight_average = WeightAverage(average_decay, name="weight_average")
            self.weight_average.start(network.trainable_weights)
        self._first_pass = self._pass_without_trace
        self._learning_pass = self._pass_with_losses
        if network.built and hasattr(network, "output_shape"):
            network_checks.check_output_shape(network.output_shape, num_classes)
            self.built = True
        network_checks.check_no_softmax(network)

    # Hooks, which methods override.

    def mix(self, batch: Batch) -> Batch:
        """Makes what the network is shown; no gradient flows through it.

        Args:
            batch: the `Batch` as it came, with labels as probabilities.

        Returns:
            A `Batch` with images and labels of the same shapes and types; here the one given.
        """
        return batch

    def example_losses(self, batch: Batch, logits: tf.Tensor) -> tf.Tensor:
        """Says what each example costs.

        Args:
            batch: the `Batch` that `mix` made.
            logits: `[batch, num_classes]`, float32.

        Returns:
            `[batch]`, float32; here the cross-entropy, in nats.
        """
        return tf.nn.softmax_cross_entropy_with_logits(batch.labels, logits)

    def example_weights(self, batch: Batch, losses: tf.Tensor) -> tf.Tensor:
        """Says how much each example counts; no gradient flows through it.

        Args:
            batch: the `Batch` that `mix` made.
            losses: `[batch]`, float32, from `example_losses`.

        Returns:
            `[batch]`, float32; here 1 each.
        """
        return tf.ones_like(losses)

    def regularization(self):
        """A scalar that is added to the mean loss, once for the global batch.

        Called after each pass through the network. Here it is the sum of the regularizers of the
        network's layers, and weight decay.
        """
        own = tf.add_n(self.losses) if self.losses else tf.constant(0.0)
        return own + self.weight_decay * self.squared_kernels() if self.weight_decay else own

    def after_step(self, batch: Batch, logits: tf.Tensor):
        """Updates what the method keeps besides the network, at the end of each step.

        Args:
            batch: the `Batch` that `mix` made.
            logits: `[batch, num_classes]`, float32, as the step computed them.
        """
        return None  # AutoGraph can't read a function without a body

    def begin_training(self, train_steps, first_step=0):
        """Called before the first step of a training, new or resumed; not inside a replica.

        Args:
            train_steps: how many steps the training has in all.
            first_step: the value of `step` that it began with.
        """
        self.train_steps.assign(train_steps)
        self.first_step.assign(first_step)

    def shape_schedule(self, schedule, learning_rate, train_steps):
        """Chooses the learning rate of the train command.

        Args:
            schedule: the `LearningRateSchedule` that the command's flags ask for.
            learning_rate: the rate to start from.
            train_steps: how many steps there will be.

        Returns:
            A `keras.optimizers.schedules.LearningRateSchedule`; here the one given.
        """
        return schedule

    # What hooks are written with; and `watch`, which records what a method shows.

    def squared_kernels(self):
        """Σ W² over the kernels of the network's convolutions and dense layers, float32."""
        kernels = keras_internals.kernels(self.network)
        return tf.add_n([tf.reduce_sum(tf.square(tf.cast(w, tf.float32))) for w in kernels])

    def progress(self):
        """The fraction of this `fit` that is done, float32 in [0, 1]; 1 before the first."""
        done = tf.cast(self.step - self.first_step, tf.float32)
        length = tf.cast(self.train_steps, tf.float32)
        return tf.where(length > 0.0, tf.clip_by_value(done / length, 0.0, 1.0), 1.0)

    def step_seed(self):
        """A `[2]` int32 seed of its own for each seed, step and replica."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        by_step = randomness.fold_in([self.seed, 0], self.step)
        return randomness.fold_in(by_step, replica)

    def first_pass_logits(self, images):
        """Logits of a batch under its own batch statistics, leaving no trace.

        The network runs as in training, but its updates of BatchNorm's moving statistics and of
        seed generators are thrown away (released code): Dropout's mask is that of the other pass.

        Args:
            images: `[batch, ...]`, float32.

        Returns:
            `[batch, num_classes]`, float32.
        """
        return self._first_pass(images)

    def first_pass_losses(self, batch: Batch) -> tf.Tensor:
        """Losses of a batch, `[batch]`, float32, by its `first_pass_logits`."""
        return self.example_losses(batch, self.first_pass_logits(batch.images))

    def mixed(self, data):
        """What `mix` would make of a batch at this step, leaving no trace.

        Args:
            data: dict with image and label.

        Returns:
            Images `[batch, height, width, channels]` and labels `[batch, num_classes]`, float32,
            and `[batch]` λ, float32, NaN where the method draws none.
        """
        given = Batch.read(data, type(self).__name__)
        with keras.StatelessScope():
            batch = self.mix(self._with_probabilities(given))
        unknown = tf.fill(tf.shape(batch.labels)[:1], float("nan"))
        return batch.images, batch.labels, unknown if batch.lam is None else batch.lam

    def averaged(self):
        """Puts the moving averages in the weights' place: `with model.averaged(): ...`."""
        return self.weight_average.in_place_of(self.network.trainable_weights)

    # Keras's own interface.

    def call(self, inputs, training=None):
        images = inputs["image"] if isinstance(inputs, dict) else inputs
        logits = self.network(images, training=training)
        network_checks.check_output_shape(getattr(logits, "shape", ()), self.num_classes)
        return logits

    def build(self, input_shape):
        if not self.network.built:
            self.network.build(
                input_shape["image"] if isinstance(input_shape, dict) else input_shape
            )
        self.built = True

    def make_train_function(self, force=False):
        self._first_pass = self.compiled_pass(self._pass_without_trace)
        self._learning_pass = self.compiled_pass(self._pass_with_losses)
        return super().make_train_function(force)

    def fit(
        self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", callbacks=None, **kwargs
    ):
        """Trains as `keras.Model.fit` does.

        `burn_in` is a fraction of `epochs` times the steps of each; it starts anew with every
        call, unless `initial_epoch` says that this one continues.
        """
        if self.loss is not None:
            raise InputError(
                f"{type(self).__name__} defines its own loss: call compile without loss="
                f"{self.loss!r}."
            )
        for labels in (y, *label_forms.of(kwargs.get("validation_data"))):
            if labels is not None:
                label_forms.check(labels, self.num_classes)
        length = TrainingLength(kwargs.get("initial_epoch", 0))
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.append(length)
        else:
            callbacks = [length, *tf.nest.flatten(callbacks or [])]
        return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)

    def train_step(self, data):
        given = Batch.read(data, type(self).__name__, self.uses_index)
        replicas.check_part(given.images)
        seed_layers(self, randomness.fold_in(self.step_seed(), 2))
        # Mixed before the tape starts, so that no gradient can flow through it.
        batch = self.mix(self._with_probabilities(given))
        with tf.GradientTape() as tape:
            logits, regularization = self._learning_pass(batch.images)
            losses = self.example_losses(batch, logits)
            weights = self.example_weights(batch, tf.stop_gradient(losses))
            losses *= tf.stop_gradient(weights)
            # The replicas' gradients are summed: each adds its share of the global mean.
            loss = tf.reduce_sum(losses) / replicas.global_size(losses)
            loss = self.optimizer.scale_loss(loss + regularization / replicas.count())
        gradients = tape.gradient(loss, self.trainable_weights)
        replicas.apply_gradients(self.optimizer, gradients, self.trainable_weights)
        replicas.average(self._statistics())
        self.after_step(batch, logits)
        if self.average_decay:
            self.weight_average.update(self.network.trainable_weights, self.step)
        self.step.assign_add(1)
        self.update_metrics(losses + regularization, batch.labels, given.labels, logits)
        return self.get_metrics_result()

    def test_step(self, data):
        given = Batch.read(data, type(self).__name__)
        one_hot = label_forms.one_hot(given.labels, self.num_classes)
        logits = self._logits(given.images, training=False)
        # Whatever the method learns from, an evaluation reports the cross-entropy.
        losses = tf.nn.softmax_cross_entropy_with_logits(one_hot, logits) + self.regularization()
        self.update_metrics(losses, one_hot, given.labels, logits, given.weight)
        return self.get_test_result()

    def get_config(self):
        return {
            **super().get_config(),
            "network": keras.saving.serialize_keras_object(self.network),
            "num_classes": self.num_classes,
            "seed": self.seed,
            "label_smoothing": self.label_smoothing,
            "weight_decay": self.weight_decay,
            "average_decay": self.average_decay,
            **{name: getattr(self, name) for name in hyperparameters.names(type(self))},
        }

    @classmethod
    def from_config(cls, config):
        network = keras.saving.deserialize_keras_object(config["network"])
        return cls(**{**config, "network": network})

    def _with_probabilities(self, given):
        labels = label_forms.smoothed(given.labels, self.num_classes, self.label_smoothing)
        return dataclasses.replace(given, labels=labels)

    def _logits(self, images, training):
        """Logits in float32, whatever the network computes in."""
        return tf.cast(self(images, training=training), tf.float32)

    def _pass_with_losses(self, images):
        # Together, as what a layer adds to the losses can't leave a compiled pass otherwise.
        return self._logits(images, training=True), self.regularization()

    def _pass_without_trace(self, images):
        with keras.StatelessScope():
            return self._logits(images, training=True)

    def _statistics(self):
        """What a pass changes in layers that learn, such as BatchNorm's moving statistics."""
        layers = keras_internals.flatten_layers(self.network)
        frozen = {id(v) for layer in layers if not layer.trainable for v in layer.variables}
        variables = self.network.non_trainable_variables
        return [v for v in variables if id(v) not in frozen and "float" in v.dtype]

    def _counter(self, name):
        return self.add_weight(
            name=name,
            shape=(),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )

"""The train step that every method shares, and the three questions that each answers.

What the network is shown (`mix`), what an example costs (`example_losses`) and how much it counts
(`example_weights`): a method overrides those of the three that it answers differently.
"""

import keras
import tensorflow as tf

from mentormix_tf import randomness
from mentormix_tf.distribution import keras_internals, replicas
from mentormix_tf.distribution.replicated_model import ReplicatedModel
from mentormix_tf.errors import InputError
from mentormix_tf.methods import batches, hyperparameters
from mentormix_tf.methods import labels as label_forms
from mentormix_tf.methods.training_length import TrainingLength
from mentormix_tf.methods.watch import Watch
from mentormix_tf.methods.weight_average import WeightAverage


class NoisyLabelModel(ReplicatedModel):
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
    uses_index = False  # whether losses and weights depend on which example is which

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
            self._check_network(network.output_shape)
            self.built = True
        last = network.layers[-1] if getattr(network, "layers", None) else None
        if isinstance(last, keras.layers.Softmax) or (
            getattr(last, "activation", None) is keras.activations.softmax
        ):
            raise InputError("The network ends in a softmax: leave it out, the loss takes logits.")

    # What a method may answer differently.

    def mix(self, images, labels):
        """Makes what the network is shown; no gradient flows through it.

        Args:
            images: `[batch, ...]`, float32.
            labels: `[batch, num_classes]`, float32, one-hot.

        Returns:
            Images and labels, of the same shapes and types.
        """
        return images, labels

    def example_losses(self, labels, logits):
        """Says what each example costs.

        A method with `uses_index` takes `index`, too: `[batch]`, int64, each example's position in
        the training set, which batches then have under that key.

        Args:
            labels: `[batch, num_classes]`, float32, probabilities.
            logits: `[batch, num_classes]`, float32.

        Returns:
            `[batch]`, float32; here the cross-entropy, in nats.
        """
        return tf.nn.softmax_cross_entropy_with_logits(labels, logits)

    def example_weights(self, losses):
        """Says how much each example counts; no gradient flows through it.

        A method with `uses_index` takes `index`, too, as in `example_losses`.

        Args:
            losses: `[batch]`, float32, as `example_losses` gave them.

        Returns:
            `[batch]`, float32.
        """
        return tf.ones_like(losses)

    def regularization(self):
        """What is added to the mean of the losses: a scalar, once for the global batch.

        Asked after each pass through the network; here it is the network's own and weight decay.
        """
        own = tf.add_n(self.losses) if self.losses else tf.constant(0.0)
        return own + self.weight_decay * self.squared_kernels() if self.weight_decay else own

    def after_step(self, labels, logits):
        """Learns what the method keeps besides the network, at the end of each step; nothing here.

        A method with `uses_index` takes `index`, too.

        Args:
            labels: `[batch, num_classes]`, float32, as `mix` made them.
            logits: `[batch, num_classes]`, float32, as the step computed them.
        """
        return None  # AutoGraph can't read a function without a body

    def shape_schedule(self, schedule, learning_rate, train_steps):
        """Lets a method shape the learning rate of the train command.

        Args:
            schedule: what it would be otherwise, a `LearningRateSchedule`.
            learning_rate: the rate to start from.
            train_steps: how many steps there will be.

        Returns:
            A `keras.optimizers.schedules.LearningRateSchedule`; here the one given.
        """
        return schedule

    # What methods build their answers from; and `watch`, which is told what there is to see.

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

    def first_pass_losses(self, images, labels):
        """Losses of a batch, `[batch]`, by its `first_pass_logits` and its labels."""
        return self.example_losses(labels, self.first_pass_logits(images))

    def mixed(self, batch):
        """What `mix` would make of a batch at this step, leaving no trace.

        Args:
            batch: dict with image and label.

        Returns:
            Images `[batch, height, width, channels]` and labels `[batch, num_classes]`, float32,
            and `[batch]` λ, float32, NaN where the method draws none.
        """
        images, labels = batches.images_and_labels(batch, type(self).__name__)
        with keras.StatelessScope():
            self.watch.begin(None)
            images, labels = self.mix(images, self._smoothed(labels))
        unknown = tf.fill(tf.shape(labels)[:1], float("nan"))
        return images, labels, self.watch.seen().get("lambda", unknown)

    def averaged(self):
        """Lets the moving averages take the weights' place: `with model.averaged(): ...`."""
        return self.weight_average.in_place_of(self.network.trainable_weights)

    # Keras's own interface.

    def call(self, inputs, training=None):
        images = inputs["image"] if isinstance(inputs, dict) else inputs
        logits = self.network(images, training=training)
        self._check_network(getattr(logits, "shape", ()))
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
        images, labels = batches.images_and_labels(data, type(self).__name__)
        index = {"index": batches.index(data, type(self).__name__)} if self.uses_index else {}
        replicas.check_part(images)
        self.watch.begin(data.get("is_clean") if isinstance(data, dict) else None)
        self._seed_layers()
        # Mixed before the tape starts, so that no gradient can flow through it.
        mixed_images, mixed_labels = self.mix(images, self._smoothed(labels))
        with tf.GradientTape() as tape:
            logits, regularization = self._learning_pass(mixed_images)
            losses = self.example_losses(mixed_labels, logits, **index)
            weights = self.example_weights(tf.stop_gradient(losses), **index)
            losses *= tf.stop_gradient(weights)
            # The replicas' gradients are summed: each adds its share of the global mean.
            loss = tf.reduce_sum(losses) / replicas.global_size(losses)
            loss = self.optimizer.scale_loss(loss + regularization / replicas.count())
        gradients = tape.gradient(loss, self.trainable_weights)
        replicas.apply_gradients(self.optimizer, gradients, self.trainable_weights)
        replicas.average(self._statistics())
        self.after_step(mixed_labels, logits, **index)
        if self.average_decay:
            self.weight_average.update(self.network.trainable_weights, self.step)
        self.step.assign_add(1)
        self._update_metrics(losses + regularization, mixed_labels, labels, logits)
        return self.get_metrics_result()

    def test_step(self, data):
        images, labels = batches.images_and_labels(data, type(self).__name__)
        weights = data.get("weight") if isinstance(data, dict) else None
        one_hot = label_forms.one_hot(labels, self.num_classes)
        logits = self._logits(images, training=False)
        losses = NoisyLabelModel.example_losses(self, one_hot, logits) + self.regularization()
        self._update_metrics(losses, one_hot, labels, logits, weights)
        return self.get_test_result()

    def get_test_result(self):
        results = super().get_metrics_result()
        return {name: results[name] for name in results if name not in self.watch.means}

    def get_metrics_result(self):
        results = super().get_metrics_result()
        return {name: results[name] for name in results if name not in self.watch.unknown()}

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        # Keras builds its metrics from a batch's `y`, which a dict holds inside `x`.
        y = x["label"] if isinstance(x, dict) else y
        return super().compute_metrics(x, y, y_pred, sample_weight)

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

    def _smoothed(self, labels):
        one_hot = label_forms.one_hot(labels, self.num_classes)
        return (1.0 - self.label_smoothing) * one_hot + self.label_smoothing / self.num_classes

    def _logits(self, images, training):
        """Logits in float32, whatever the network computes in."""
        return tf.cast(self(images, training=training), tf.float32)

    def _pass_with_losses(self, images):
        # Together, as what a layer adds to the losses can't leave a compiled pass otherwise.
        return self._logits(images, training=True), self.regularization()

    def _pass_without_trace(self, images):
        with keras.StatelessScope():
            return self._logits(images, training=True)

    def _seed_layers(self):
        """Gives Dropout and the like seeds of their own for each step and replica."""
        seed = randomness.fold_in(self.step_seed(), 2)
        for i, state in enumerate(keras_internals.seed_states(self)):
            state.assign(tf.cast(randomness.fold_in(seed, i), state.dtype))

    def _statistics(self):
        """What a pass changes in layers that learn, such as BatchNorm's moving statistics."""
        layers = keras_internals.flatten_layers(self.network)
        frozen = {id(v) for layer in layers if not layer.trainable for v in layer.variables}
        variables = self.network.non_trainable_variables
        return [v for v in variables if id(v) not in frozen and "float" in v.dtype]

    def _update_metrics(self, losses, mixed_labels, labels, logits, weights=None):
        """Adds a batch to the loss and to the metrics that `compile` was given.

        Those see the likeliest class of each (mixed) label, in the form in which labels came.
        """
        loss = next(metric for metric in self.metrics if metric.name == "loss")
        loss.update_state(losses, weights)
        likeliest = tf.argmax(mixed_labels, axis=-1, output_type=tf.int32)
        is_one_hot = label_forms.is_one_hot(labels)
        likeliest = tf.one_hot(likeliest, self.num_classes) if is_one_hot else likeliest
        self.compute_metrics(None, likeliest, logits, weights)

    def _counter(self, name):
        return self.add_weight(
            name=name,
            shape=(),
            dtype="int64",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
        )

    def _check_network(self, output_shape):
        if len(output_shape) != 2 or output_shape[-1] != self.num_classes:
            raise InputError(
                f"The network's output has shape {tuple(output_shape)}, but num_classes="
                f"{self.num_classes} needs logits of shape (batch, {self.num_classes})."
            )

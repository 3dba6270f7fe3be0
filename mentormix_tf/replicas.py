"""One train step on several replicas: what they share, and the loop that runs them.

Keras 3's own loop fails with several workers, with more than one step per execution and with XLA on
more than one replica; `ReplicatedModel` has one that does not. On one replica Keras's own is used.
"""

import keras
import tensorflow as tf

from mentormix_tf.errors import InputError

NO_PART = (
    "A batch has fewer examples than there are replicas: leave it out, by drop_remainder=True "
    "where the data set is batched, or choose a batch size that leaves more for the last batch."
)


def count():
    """The number of replicas that take part in the running step; 1 outside of one."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def gather(values):
    """The values of every replica, one replica's after the other's.

    Args:
        values: `[replica batch, ...]`.

    Returns:
        `[global batch, ...]`, the same on every replica.
    """
    if count() == 1:
        return values
    return tf.distribute.get_replica_context().all_gather(values, axis=0)


def global_size(values):
    """The number of examples in the global batch, float32, given a replica's `[batch, ...]`."""
    size = tf.cast(tf.shape(values)[0], tf.float32)
    if _is_shared_out_evenly(values):
        return size * count()
    return tf.distribute.get_replica_context().all_reduce("SUM", size)


def check_part(values):
    """Makes a step fail in which this replica has no example: BatchNorm would turn to NaN.

    Args:
        values: `[batch, ...]`, a replica's part of the batch.
    """
    if not _is_shared_out_evenly(values):
        tf.debugging.assert_positive(tf.shape(values)[0], NO_PART)


def average(variables):
    """Sets each variable to its mean over the replicas.

    Args:
        variables: floating-point Keras variables whose copies may differ.
    """
    if count() == 1 or not variables:
        return
    context = tf.distribute.get_replica_context()
    # Tensors: of variables, several workers can't make a mean.
    means = context.all_reduce("MEAN", [tf.identity(variable.value) for variable in variables])
    for variable, mean in zip(variables, means, strict=True):
        variable.assign(mean)


def _is_shared_out_evenly(values):
    """Whether every replica's part is known to be as large as this one's.

    Replicas run one graph: a size that is known in it is the size of all.
    """
    return count() == 1 or (values.shape[0] is not None and not tf.executing_eagerly())


def apply_gradients(optimizer, gradients, variables):
    """Takes one step along the sum of the replicas' gradients.

    A Keras optimizer clips what it is given and sums over replicas after that. Where it clips,
    the sum is made and clipped here first: each replica's equal part of it is small enough to pass.

    Args:
        optimizer: `keras.optimizers.Optimizer`.
        gradients: this replica's part of each gradient; None for a variable without one.
        variables: the Keras variables.
    """
    clips = (optimizer.clipnorm, optimizer.global_clipnorm, optimizer.clipvalue)
    if count() > 1 and any(clips):
        used = [i for i, gradient in enumerate(gradients) if gradient is not None]
        sums = tf.distribute.get_replica_context().all_reduce("SUM", [gradients[i] for i in used])
        if optimizer.clipnorm:
            sums = [tf.clip_by_norm(gradient, optimizer.clipnorm) for gradient in sums]
        elif optimizer.global_clipnorm:
            sums, _ = tf.clip_by_global_norm(sums, optimizer.global_clipnorm)
        else:
            limit = optimizer.clipvalue
            sums = [tf.clip_by_value(gradient, -limit, limit) for gradient in sums]
        gradients = list(gradients)
        for i, gradient in zip(used, sums, strict=True):
            gradients[i] = gradient / count()
    optimizer.apply_gradients(zip(gradients, variables, strict=True))


class ReplicatedModel(keras.Model):
    """A Keras model whose `fit` and `evaluate` run under every `tf.distribute` strategy.

    Build and compile it in the strategy's scope. Metrics are of the global batch.
    """

    def fit(self, *args, **kwargs):
        try:
            return super().fit(*args, **kwargs)
        except tf.errors.InvalidArgumentError as error:
            if NO_PART not in str(error):
                raise
            raise InputError(NO_PART) from error

    def make_train_function(self, force=False):
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return super().make_train_function(force)
        if self.train_function is None or force:
            self._check_optimizer()
            self.train_function = self._loop(self.train_step, self.get_metrics_result)

    def make_training_loop(self):
        """Makes what `fit` calls over and over, for who writes the loop around it.

        Build the model's metrics first, by `build_for`.

        Returns:
            Function of an iterator over global batches that takes `steps_per_execution` steps. It
            returns the metrics' results so far, and the seconds that it waited for batches.
        """
        self.make_train_function()
        step = self.train_step
        if self.jit_compile and self.distribute_strategy.num_replicas_in_sync == 1:
            step = tf.function(step, jit_compile=True, reduce_retracing=True)
        steps = self._steps(step, self.get_metrics_result)

        def function(iterator):
            _, waited, logs = steps(iterator)
            return logs, float(waited)

        return function

    def build_for(self, element_spec):
        """Makes the variables that training needs, those of metrics and the optimizer too.

        Args:
            element_spec: of a batch, in any of its forms, as a `tf.data.Dataset` has it.
        """
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=element_spec)

    def make_test_function(self, force=False):
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return super().make_test_function(force)
        if self.test_function is None or force:
            self.test_function = self._loop(self.test_step, self.get_test_result)

    def get_test_result(self):
        """What `evaluate` returns: a dict of the metrics' results."""
        return self.get_metrics_result()

    def compiled_pass(self, function):
        """A pass through the network, compiled by itself if XLA is asked for on several replicas.

        On one replica XLA compiles the whole step, on TPUs all there is; on several GPUs it can't,
        having no kernel for what replicas tell each other. The gradient of a compiled pass is
        compiled, too.

        Args:
            function: from tensors to tensors.

        Returns:
            A function of the same arguments.
        """
        strategy = self.distribute_strategy
        is_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
        if not self.jit_compile or strategy.num_replicas_in_sync == 1 or is_tpu:
            return function
        compiled = tf.function(function, jit_compile=True, reduce_retracing=True)
        return lambda *inputs: compiled(*inputs)  # Keras would track a tf.function

    def _steps(self, step, results):
        """A function that takes `steps_per_execution` steps on an iterator over global batches."""
        strategy = self.distribute_strategy

        def steps(iterator):
            done, waited = 0, tf.constant(0.0, tf.float64)
            for _ in tf.range(self.steps_per_execution):
                asked = tf.timestamp()
                with tf.control_dependencies([asked]):
                    batch = iterator.get_next_as_optional()
                    there = batch.has_value()
                with tf.control_dependencies([there]):
                    waited += tf.timestamp() - asked
                if not there:
                    break
                strategy.run(step, args=(batch.get_value(),))
                done += 1
            # Read outside the replicas, metrics are summed over all of them.
            return done, waited, results()

        return steps if self.run_eagerly else tf.function(steps, reduce_retracing=True)

    def _loop(self, step, results):
        """What Keras's `fit` and `evaluate` call."""
        steps = self._steps(step, results)

        def function(iterator):
            if not isinstance(iterator, tf.distribute.DistributedIterator):
                raise InputError(
                    "train_on_batch and test_on_batch run on one replica only: use fit and "
                    "evaluate, which share each batch out."
                )
            done, _, logs = steps(iterator)
            if not done:
                raise StopIteration
            return logs

        return function

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras shapes its variables by the mean of a batch over replicas, which several workers
        # can't make; the batch of one replica has the same shapes.
        strategy = self.distribute_strategy
        if iterator is not None and strategy.num_replicas_in_sync > 1:
            if self._is_ready():
                return
            _, _, batches = next(iter(iterator))
            first = next(iter(batches))
            data_batch = tf.nest.map_structure(
                lambda value: strategy.experimental_local_results(value)[0], first
            )
            iterator = None
        super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)

    def _is_ready(self):
        """Whether all variables that `fit` needs are there."""
        parts = [*self._flatten_layers(), *self.metrics, self.optimizer]
        return all(getattr(part, "built", True) for part in parts)

    def _check_optimizer(self):
        """Refuses what a Keras optimizer gets wrong on several replicas."""
        optimizer = self.optimizer
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            raise InputError(
                "Loss scaling, which float16 needs, is wrong on more than one replica: use "
                "bfloat16, which needs none."
            )
        for name in ("gradient_accumulation_steps", "ema_overwrite_frequency"):
            if getattr(optimizer, name):
                raise InputError(
                    f"The optimizer's {name}={getattr(optimizer, name)} is wrong on more than one "
                    "replica: leave it out."
                )

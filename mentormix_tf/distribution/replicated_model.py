"""A Keras model that trains and evaluates under every `tf.distribute` strategy."""

import keras
import tensorflow as tf

from mentormix_tf.distribution.replicas import NO_PART
from mentormix_tf.errors import InputError


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

"""A Keras model that trains and evaluates under every `tf.distribute` strategy.

Keras 3's own loop fails with several workers, with more than one step per execution on several
replicas, and with XLA on several replicas; there, `ReplicatedModel` replaces it. On one replica,
Keras's own loop runs.
"""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from mentormix_tf.distribution import keras_internals
from mentormix_tf.distribution.replicas import NO_PART
from mentormix_tf.errors import InputError

__all__ = ["ReplicatedModel"]


class ReplicatedModel(keras_internals.BuildableModel):
    """A Keras model whose `fit` and `evaluate` run under every `tf.distribute` strategy.

    Build and compile it in the strategy's scope. Metrics cover the global batch.
    """

    def fit(self, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """Trains as `keras.Model.fit` does.

        Raises:
            InputError: a batch has fewer examples than there are replicas, or the optimizer has an
                option that Keras gets wrong on several replicas.
        """
        try:
            return super().fit(*args, **kwargs)
        except tf.errors.InvalidArgumentError as error:
            if NO_PART not in str(error):
                raise
            raise InputError(NO_PART) from error

    def make_train_function(self, force: bool = False) -> Callable | None:
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return super().make_train_function(force)
        if self.train_function is None or force:
            self._check_optimizer()
            self.train_function = self._loop(self.train_step, self.get_metrics_result)

    def make_training_loop(self) -> Callable[[Iterator], tuple[dict[str, tf.Tensor], float]]:
        """Makes the function for a hand-written training loop; `fit` has its own.

        Call `build_for` first, which creates the metrics.

        Returns:
            A function that takes `steps_per_execution` steps with the next batches of an iterator
            over global batches. It returns the metrics' results so far, and the seconds that it
            waited for batches.
        """
        self.make_train_function()
        step = self.train_step
        if self.jit_compile and self.distribute_strategy.num_replicas_in_sync == 1:
            step = tf.function(step, autograph=False, jit_compile=True, reduce_retracing=True)
        steps = self._steps(step, self.get_metrics_result)

        def function(iterator):
            _, waited, logs = steps(iterator)
            return logs, float(waited)

        return function

    def make_test_function(self, force: bool = False) -> Callable | None:
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return super().make_test_function(force)
        if self.test_function is None or force:
            self.test_function = self._loop(self.test_step, self.get_test_result)

    def get_test_result(self) -> dict[str, Any]:
        """Returns the metrics' results that `evaluate` reports, by name."""
        return self.get_metrics_result()

    def compiled_pass(self, function: Callable) -> Callable:
        """Compiles a pass through the network with XLA, if the step can't be compiled as a whole.

        XLA compiles the whole step on one replica and on TPUs. On several GPUs it can't, since it
        has no kernel for a collective in the middle of a step. The gradient of a compiled pass is
        compiled as well.

        Args:
            function: a function from tensors to tensors.

        Returns:
            A function of the same arguments with the same results.
        """
        strategy = self.distribute_strategy
        is_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
        if not self.jit_compile or strategy.num_replicas_in_sync == 1 or is_tpu:
            return function
        compiled = tf.function(function, autograph=False, jit_compile=True, reduce_retracing=True)
        # Wrapped, since Keras would track a tf.function as part of the model.
        return lambda *inputs: compiled(*inputs)

    def _steps(self, step, results):
        """Makes a function of an iterator over global batches: `steps_per_execution` steps."""
        strategy = self.distribute_strategy
        # AutoGraph takes seconds for what a step calls, and only the loop below needs it.
        step, results = map(tf.autograph.experimental.do_not_convert, (step, results))

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
        """Makes the function that Keras's `fit` and `evaluate` call."""
        steps = self._steps(step, results)

        def function(iterator):
            if not isinstance(iterator, tf.distribute.DistributedIterator):
                raise InputError(
                    "train_on_batch and test_on_batch run on one replica only: use fit and "
                    "evaluate, which split each batch over the replicas."
                )
            done, _, logs = steps(iterator)
            if not done:
                raise StopIteration
            return logs

        return function

    def _check_optimizer(self):
        """Refuses options that Keras's optimizers get wrong on several replicas."""
        optimizer = self.optimizer
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            raise InputError(
                "Loss scaling, which float16 needs, is wrong on more than one replica: use "
                "bfloat16, which needs no loss scaling."
            )
        for name in ("gradient_accumulation_steps", "ema_overwrite_frequency"):
            value = keras_internals.optimizer_argument(optimizer, name)
            if value:
                raise InputError(
                    f"The optimizer's {name}={value} is wrong on more than one replica: remove it."
                )

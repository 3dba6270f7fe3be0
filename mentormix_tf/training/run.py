"""One training run, from a config to a folder of results."""

import contextlib
import dataclasses
import math
import re
import sys
import tempfile

import keras
import tensorflow as tf

from mentormix_tf import methods, networks
from mentormix_tf.data import augment, pipeline, splits
from mentormix_tf.errors import InputError
from mentormix_tf.training import recipe, strategies
from mentormix_tf.training.evaluation import Evaluation
from mentormix_tf.training.run_folder import RunFolder

EVAL_BATCH_SIZE = 500
# What TensorFlow raises when a worker's connection breaks, or its host falls silent.
LOST_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.InternalError,
    tf.errors.DeadlineExceededError,
)


def run(config, model_dir, strategy=None):
    """Trains as a config says and writes the run's folder.

    With several workers, each calls it; the first, the chief, writes.

    Args:
        config: `RunConfig`.
        model_dir: folder for flags.txt, metrics.csv, result.json and tensorboard/; made if missing.
        strategy: `tf.distribute.Strategy`; None for TensorFlow's default, which is one device.

    Returns:
        The contents of result.json, a dict.

    Raises:
        InputError: the config can't be run, the folder holds another run's results, or the loss
            became infinite or NaN, or a file of the split is damaged, or a worker is lost.
    """
    config = dataclasses.replace(
        config, hyperparameters=methods.resolve(config.method, config.hyperparameters)
    )
    strategy = strategy or tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    if config.training.batch_size % replicas:
        raise InputError(
            f"batch_size={config.training.batch_size} can't be shared out to {replicas} replicas: "
            f"choose a multiple of {replicas}."
        )
    with contextlib.ExitStack() as stack:
        if not strategies.is_chief(strategy):
            model_dir = stack.enter_context(tempfile.TemporaryDirectory())
        stack.enter_context(_short_errors(config, strategy))
        data = _prepare(config.data, strategy)
        result = _train(config, data, model_dir, strategy)
        strategies.wait_for_all(strategy)
    return result


def _prepare(config, strategy):
    """The split, made by the chief where it is missing and found by the others."""
    if not strategies.is_chief(strategy):
        strategies.wait_for_all(strategy)
    data = splits.prepare(config)
    if strategies.is_chief(strategy):
        strategies.wait_for_all(strategy)
    if "test" not in data:
        raise InputError(f"dataset={config.dataset} has no test split to measure accuracy on.")
    return data


def _train(config, data, model_dir, strategy):
    training, method = config.training, methods.get(config.method)
    image_shape = _image_shape(data.image_shape, training.image_size)
    augmentation = augment.get(training.augmentation, data.image_shape)
    shown = dict(augmentation=augmentation, image_shape=image_shape)
    train = strategy.distribute_datasets_from_function(
        lambda context: pipeline.train_batches(
            data,
            training.batch_size,
            training.seed,
            columns=pipeline.COLUMNS + (("index",) if method.uses_index else ()),
            context=context,
            **shown,
        )
    )
    # A multiple of the replicas, so that each has an equal part.
    replicas = strategy.num_replicas_in_sync
    eval_batch_size = replicas * math.ceil(EVAL_BATCH_SIZE / replicas)

    def eval_batches(split):
        batches = strategy.distribute_datasets_from_function(
            lambda context: pipeline.eval_batches(
                data, split, eval_batch_size, context=context, **shown
            )
        )
        return batches, pipeline.num_eval_batches(data, split, eval_batch_size)

    test = eval_batches("test")
    validation = eval_batches("validation") if "validation" in data else None
    with strategy.scope():
        model = build_model(config, image_shape, len(data.class_names), data.num_examples("train"))
    folder = RunFolder(model_dir, config)

    eval_every = min(training.eval_every, training.train_steps)
    evaluation = Evaluation(test, validation, folder, training.batch_size)
    verbose = 1 if sys.stdout.isatty() else 2
    model.fit(
        train,
        epochs=training.train_steps // eval_every,
        steps_per_epoch=eval_every,
        shuffle=False,  # the pipeline did
        validation_data=test[0],
        validation_steps=test[1],
        callbacks=[_StopOnBadLoss(), evaluation],
        verbose=verbose if strategies.is_chief(strategy) else 0,
    )
    device = strategies.describe(strategy)
    return folder.write_result(data, evaluation.images_per_second(), device)


@contextlib.contextmanager
def _short_errors(config, strategy):
    """Says in a sentence what TensorFlow says in many."""
    try:
        yield
    except tf.errors.DataLossError as error:
        raise pipeline.damage(splits.load(splits.folder(splits.resolve(config.data)))) from error
    except tf.errors.InvalidArgumentError as error:
        lacking = re.search(r"No registered '(\w+)' OpKernel", str(error))
        if lacking is None:
            raise
        raise InputError(
            f"jit_compile={config.training.jit_compile}: XLA has no kernel for {lacking[1]}, which "
            f"network={config.training.network} uses: train with --jit_compile=false."
        ) from error
    except LOST_WORKER as error:
        if not strategies.is_multi_worker(strategy):
            raise
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            "Another worker has gone, so that training can't go on: see its output, and start "
            f"all workers again. (TensorFlow: {reason})"
        ) from error


def _image_shape(stored, image_size):
    """What the network is shown, given the stored images' shape and --image_size."""
    height, width, channels = stored
    if image_size or height is None:
        height = width = image_size or 224
    return height, width, channels


def build_model(config, image_shape, num_classes, num_examples):
    training = config.training
    keras.utils.set_random_seed(training.seed)
    with _precision(training.precision):
        network = networks.build(training.network, image_shape, num_classes, training.pretrained)
    model = methods.build(
        config.method,
        network,
        num_classes,
        num_examples,
        seed=training.seed,
        label_smoothing=training.label_smoothing,
        weight_decay=training.weight_decay,
        average_decay=training.average_decay,
        **config.hyperparameters,
    )
    schedule = model.shape_schedule(
        recipe.learning_rate(training), training.learning_rate, training.train_steps
    )
    model.compile(
        keras.optimizers.SGD(schedule, momentum=training.momentum),
        weighted_metrics=["accuracy"],  # by the weight that evaluation batches have
        jit_compile=_jit_compile(training.jit_compile),
        steps_per_execution=training.steps_per_execution,
    )
    return model


@contextlib.contextmanager
def _precision(name):
    """Lets the layers that are made meanwhile compute in a precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if name == "bfloat16" else name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _jit_compile(choice):
    """XLA's code is slower than TensorFlow's own on a CPU, so `auto` leaves it off there."""
    if choice == "auto":
        return bool(tf.config.get_visible_devices("GPU"))
    return choice == "true"


class _StopOnBadLoss(keras.callbacks.Callback):
    """Ends training at the first loss that is NaN or infinite."""

    def on_train_batch_end(self, batch, logs=None):
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise InputError(
                f"The loss became {loss} at step {int(self.model.optimizer.iterations.numpy())}: "
                "most often the learning rate is too high (try a tenth of it), else images hold "
                "NaN or labels lie outside their range."
            )

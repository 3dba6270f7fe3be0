"""One training run, from a config to a folder of results."""

import dataclasses
import math
import sys

import keras
import tensorflow as tf

from mentormix_tf import methods, networks
from mentormix_tf.data import augment, pipeline, splits
from mentormix_tf.errors import InputError
from mentormix_tf.training.evaluation import Evaluation
from mentormix_tf.training.run_folder import RunFolder

EVAL_BATCH_SIZE = 500


def run(config, model_dir):
    """Trains as a config says and writes the run's folder.

    Args:
        config: `RunConfig`.
        model_dir: folder for flags.txt, metrics.csv, result.json and tensorboard/; made if missing.

    Returns:
        The contents of result.json, a dict.

    Raises:
        InputError: the config can't be run, the folder holds another run's results, or the loss
            became infinite or NaN, or a file of the split is damaged.
    """
    config = dataclasses.replace(
        config, hyperparameters=methods.resolve(config.method, config.hyperparameters)
    )
    training = config.training
    data = splits.prepare(config.data)
    if "test" not in data:
        raise InputError(f"dataset={config.data.dataset} has no test split to measure accuracy on.")
    image_shape = _image_shape(data.image_shape, training.image_size)
    augmentation = augment.get(training.augmentation, data.image_shape)
    shown = dict(augmentation=augmentation, image_shape=image_shape)
    train = pipeline.train_batches(data, training.batch_size, training.seed, **shown)
    test = pipeline.eval_batches(data, "test", EVAL_BATCH_SIZE, **shown)
    validation = None
    if "validation" in data:
        validation = pipeline.eval_batches(data, "validation", EVAL_BATCH_SIZE, **shown)
    model = _build_model(config, image_shape, len(data.class_names))
    folder = RunFolder(model_dir, config)

    eval_every = min(training.eval_every, training.train_steps)
    evaluation = Evaluation(validation, folder, training.batch_size)
    try:
        model.fit(
            train,
            epochs=training.train_steps // eval_every,
            steps_per_epoch=eval_every,
            shuffle=False,  # the pipeline did
            validation_data=test,
            callbacks=[_StopOnBadLoss(), evaluation],
            verbose=1 if sys.stdout.isatty() else 2,
        )
    except tf.errors.DataLossError as error:
        raise pipeline.damage(data) from error
    return folder.write_result(data, evaluation.rows, evaluation.images_per_second())


def _image_shape(stored, image_size):
    """What the network is shown, given the stored images' shape and --image_size."""
    height, width, channels = stored
    if image_size or height is None:
        height = width = image_size or 224
    return height, width, channels


def _build_model(config, image_shape, num_classes):
    training = config.training
    keras.utils.set_random_seed(training.seed)
    network = networks.build(training.network, image_shape, num_classes)
    model = methods.get(config.method)(
        network, num_classes, seed=training.seed, **config.hyperparameters
    )
    schedule = keras.optimizers.schedules.CosineDecay(training.learning_rate, training.train_steps)
    model.compile(
        keras.optimizers.SGD(schedule, momentum=0.9),
        metrics=["accuracy"],
        jit_compile=_jit_compile(training.jit_compile),
    )
    return model


def _jit_compile(choice):
    """XLA's code is slower than TensorFlow's own on a CPU, so `auto` leaves it off there."""
    if choice == "auto":
        return bool(tf.config.list_physical_devices("GPU"))
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

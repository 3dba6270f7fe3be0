"""One training run, from a config to a folder of results."""

import contextlib
import dataclasses
import logging
import re

import keras
import tensorflow as tf

from mentormix_tf import methods, networks
from mentormix_tf.data import augment, pipeline, splits
from mentormix_tf.distribution import strategies
from mentormix_tf.errors import InputError
from mentormix_tf.runs import layout
from mentormix_tf.runs.run_folder import RunFolder
from mentormix_tf.training import recipe
from mentormix_tf.training.checkpoints import Checkpoints
from mentormix_tf.training.evaluation import Evaluation
from mentormix_tf.training.loop import Loop, Progress
from mentormix_tf.training.report import Report
from mentormix_tf.training.tensorboard import Profile

_log = logging.getLogger(__name__)

# What TensorFlow raises when a worker's connection breaks, or its host falls silent.
LOST_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.InternalError,
    tf.errors.DeadlineExceededError,
)


def run(config, output, strategy=None):
    """Trains as a config says: from the start, or from the last checkpoint in the run's folder.

    With several workers, each calls it; the first, the chief, writes. All must see the folder.

    Args:
        config: `RunConfig`.
        output: `OutputConfig`; into its model_dir come flags.txt, metrics.csv, result.json,
            checkpoints/, tensorboard/ and more.
        strategy: `tf.distribute.Strategy`; None for TensorFlow's default, which is one device.

    Returns:
        The contents of result.json, a dict; those that are there, if the run is done already.

    Raises:
        InputError: the config can't be run, the folder holds another run, the loss became infinite
            or NaN, a file of the split is damaged, or a worker is lost.
        Preempted: the process got SIGTERM, and has saved a checkpoint.
    """
    config = resolve(config)
    strategy = strategy or tf.distribute.get_strategy()
    folder = check(config, output, strategy)
    if folder.result():
        return folder.result()
    with short_errors(config, strategy):
        result = _train(Setup(config, strategy), output, folder)
        strategies.wait_for_all(strategy)
    return result


def resolve(config):
    """Completes a `RunConfig` with what the data set and the method take where it says nothing.

    Raises:
        InputError: the data set, the noise, the method or a hyperparameter can't be as it says.
    """
    return dataclasses.replace(
        config,
        data=splits.resolve(config.data),
        hyperparameters=methods.resolve(config.method, config.hyperparameters),
    )


def check(config, output, strategy):
    """Checks what can be before there is any data.

    Args:
        config: `RunConfig`, resolved.
        output: `OutputConfig`.
        strategy: `tf.distribute.Strategy`.

    Returns:
        The run's `RunFolder`.

    Raises:
        InputError: steps or batches can't be shared out, or the folder holds another run.
    """
    training, replicas = config.training, strategy.num_replicas_in_sync
    if training.batch_size % replicas:
        raise InputError(
            f"batch_size={training.batch_size} can't be shared out to {replicas} replicas: "
            f"choose a multiple of {replicas}."
        )
    if output.checkpoint_every % training.steps_per_execution:
        raise InputError(
            f"checkpoint_every={output.checkpoint_every} must be a multiple of steps_per_execution="
            f"{training.steps_per_execution}."
        )
    folder = RunFolder(output.model_dir, config)
    folder.check(output.resume)
    return folder


class Setup:
    """What a run has before its first step: data, a model, and how the one is shown to the other.

    Args:
        config: `RunConfig`, resolved.
        strategy: `tf.distribute.Strategy`.

    Attributes:
        config, strategy: as above.
        data: `NoisySplits`, made if they were missing.
        model: `NoisyLabelModel`, compiled, with all its variables made.
        shown: augmentation and image_shape, as the pipeline takes them.

    Raises:
        InputError: the data or the network can't be had.
    """

    def __init__(self, config, strategy):
        self.config, self.strategy = config, strategy
        training = config.training
        self.data = data = _prepare(config.data, training, strategy)
        image_shape = augment.shown_shape(data.image_shape, training.image_size)
        self.shown = dict(
            augmentation=augment.get(training.augmentation, data.image_shape),
            image_shape=image_shape,
        )
        self._columns = ["image", "label"]
        self._columns += ["is_clean"] if data.manifest["realized_noise_rate"] is not None else []
        self._columns += ["index"] if methods.get(config.method).uses_index else []
        with strategy.scope():
            self.model = build_model(
                config, image_shape, len(data.class_names), data.num_examples("train")
            )
        self.model.build_for(pipeline.batch_spec(training.batch_size, image_shape, self._columns))

    def train_batches(self, step):
        """The batches that the strategy's replicas train on, from a step on."""
        training = self.config.training
        return self.strategy.distribute_datasets_from_function(
            lambda context: pipeline.train_batches(
                self.data,
                training.batch_size,
                training.seed,
                start_step=step,
                columns=self._columns,
                context=context,
                **self.shown,
            )
        )

    def evaluation(self):
        """The run's `Evaluation`."""
        return Evaluation(self.model, self.data, self.config.training.batch_size, **self.shown)


def _prepare(config, training, strategy):
    """The split, made by the chief where it is missing and found by the others."""
    if not strategies.is_chief(strategy):
        strategies.wait_for_all(strategy)
    data = splits.prepare(config)
    if strategies.is_chief(strategy):
        strategies.wait_for_all(strategy)
    pipeline.steps_per_epoch(data, training.batch_size)
    if "test" not in data:
        raise InputError(f"dataset={config.dataset} has no test split to measure accuracy on.")
    return data


def _train(setup, output, folder):
    training, is_chief = setup.config.training, strategies.is_chief(setup.strategy)
    model, data = setup.model, setup.data
    with folder.held() if is_chief else contextlib.nullcontext():
        checkpoints = Checkpoints(
            model, folder.path / layout.CHECKPOINTS, output.keep_checkpoints, writes=is_chief
        )
        progress = _resume(model, checkpoints, training, setup.strategy)
        batches = setup.train_batches(int(model.step.numpy()))
        if is_chief:
            folder.write_model(
                class_names=data.class_names,
                image_shape=setup.shown["image_shape"],
                stored_image_shape=data.image_shape,
                augmentation=training.augmentation,
                split_sha256=data.manifest["split_sha256"],
                realized_noise_rate=data.manifest["realized_noise_rate"],
            )
            folder.begin()
        report = Report(setup.evaluation(), folder, data, progress, writes=is_chief)
        profiled = output.profile_steps if is_chief else ()
        profile = Profile(profiled, folder.path / layout.TENSORBOARD)
        every = output.checkpoint_every or min(training.eval_every, training.train_steps)
        Loop(model, training, progress, report.add, checkpoints, every, profile).run(batches)
        return report.finish(
            images_per_second=progress.speed(training.batch_size)["images_per_second"]
        )


def _resume(model, checkpoints, training, strategy):
    """Goes back to the last checkpoint, if there is one. Returns the run's `Progress`."""
    saved = checkpoints.restore() or {}
    progress, step = Progress(**saved), int(model.step.numpy())
    if not strategies.all_agree(strategy, step):
        raise InputError(
            f"model_dir={checkpoints.folder.parent}: the workers found different checkpoints: name "
            "a folder on storage that all of them share."
        )
    total, stride = training.train_steps, training.steps_per_execution
    if step > total:
        raise InputError(f"train_steps={total} is less than the {step} steps that are done.")
    if step % stride:
        raise InputError(f"steps_per_execution={stride} does not divide the {step} steps done.")
    if step and strategies.is_chief(strategy):
        _log.info("Continuing from step %d of %d", step, total)
    return progress


@contextlib.contextmanager
def short_errors(config, strategy):
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


def build_model(config, image_shape, num_classes, num_examples):
    """The compiled model of a resolved `RunConfig`; some of its variables come with `build_for`."""
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

"""A training run, from a config to a folder of results."""

import contextlib
import dataclasses
import logging
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf import backend, methods, networks
from mentormix_tf.config import OutputConfig, RunConfig
from mentormix_tf.data import augment, examples, pipeline, splits, stages
from mentormix_tf.data.service import NO_SERVERS, Servers
from mentormix_tf.distribution import agreement, strategies
from mentormix_tf.errors import InputError
from mentormix_tf.inference import rog as rog_heads
from mentormix_tf.methods.base import NoisyLabelModel
from mentormix_tf.networks import trained_layers
from mentormix_tf.runs import contents, defaults, layout
from mentormix_tf.runs.run_folder import RunFolder
from mentormix_tf.training import cached_features, rog, trackers
from mentormix_tf.training.checkpoints import Checkpoints
from mentormix_tf.training.evaluation import Evaluation
from mentormix_tf.training.loop import Loop, Progress
from mentormix_tf.training.model import build_model, build_network, set_transition_matrix
from mentormix_tf.training.report import Report
from mentormix_tf.training.tensorboard import Profile

__all__ = ["LOST_WORKER", "BeforeRun", "Setup", "check", "run", "short_errors"]

_log = logging.getLogger(__name__)

# What TensorFlow raises when the connection to a worker breaks, or its host stops answering.
LOST_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.InternalError,
    tf.errors.DeadlineExceededError,
)


def run(
    config: RunConfig,
    output: OutputConfig,
    strategy: tf.distribute.Strategy | None = None,
    before: "BeforeRun | None" = None,
    servers: Servers = NO_SERVERS,
) -> dict[str, Any] | None:
    """Trains as a config says: from the start, or from the last checkpoint in the run's folder.

    With several workers, each calls it; the first, the chief, writes. All must share the folder.

    Args:
        config: the run.
        output: where results go: its model_dir gets flags.txt, metrics.csv, result.json,
            checkpoints/, tensorboard/ and more.
        strategy: the devices to train on; None for TensorFlow's default, one device.
        before: what earlier rounds leave to the run, see `rounds.run.run`; None without rounds.
        servers: what makes the training batches instead of this process.

    Returns:
        The contents of result.json, which a finished run already has; None in a worker that did not
        write it.

    Raises:
        InputError: the config can't be run, the folder holds another run, the loss or the weights
            became infinite or NaN, a file can't be written, a file of the split is damaged, or a
            worker is lost.
        Preempted: the process received SIGTERM, and a checkpoint was saved.
    """
    config = defaults.resolve(config)
    strategy = strategy or tf.distribute.get_strategy()
    with short_errors(config, strategy):
        strategies.check_same(strategy, agreement.facts(config, output, dry_run="false"))
        folder = check(config, output, strategy)
        if not strategies.all_agree(strategy, folder.result() is not None):
            raise _not_shared(folder.path)
        if folder.result():
            return contents.result(folder.path / layout.RESULT)
        if config.rounds.rounds != "none" and before is None:
            raise InputError(
                f"rounds={config.rounds.rounds} come before the run: call rounds.run.run instead."
            )
        before = before or BeforeRun()
        setup = Setup(config, strategy, before, servers)
        result = _train(setup, output, folder, before.facts)
        strategies.wait_for_all(strategy)
    return result


def check(config: RunConfig, output: OutputConfig, strategy: tf.distribute.Strategy) -> RunFolder:
    """Checks what can be checked before the data is prepared.

    Args:
        config: the run, completed by `defaults.resolve`.
        output: where results go.
        strategy: the devices to train on.

    Returns:
        The run's folder.

    Raises:
        InputError: there is no such network, batches or steps can't be divided as the flags say,
            the folder holds another run, or the tracker can't be used.
    """
    training, replicas = config.training, strategy.num_replicas_in_sync
    networks.check(training.network)
    if training.batch_size % replicas:
        raise InputError(
            f"batch_size={training.batch_size} can't be divided among {replicas} replicas: "
            f"choose a multiple of {replicas}."
        )
    batch_bytes = 3 * 4 * training.batch_size * training.image_size**2
    if batch_bytes > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
        raise InputError(
            f"image_size={training.image_size}: a batch of {training.batch_size} images takes "
            f"{batch_bytes / 2**30:,.0f} GB, more than this machine's memory: choose a smaller one."
        )
    if output.checkpoint_every % training.steps_per_execution:
        raise InputError(
            f"checkpoint_every={output.checkpoint_every} must be a multiple of steps_per_execution="
            f"{training.steps_per_execution}."
        )
    if output.profile_steps and output.profile_steps[0] > training.train_steps:
        raise InputError(
            f"profile_steps={','.join(map(str, output.profile_steps))} begin after train_steps="
            f"{training.train_steps}: choose earlier ones."
        )
    folder = RunFolder(output.model_dir, config)
    folder.check(output.resume)
    if strategies.is_chief(strategy):
        trackers.check(output.tracker)
    return folder


@dataclasses.dataclass(frozen=True)
class BeforeRun:
    """What rounds leave to the run that follows them.

    Attributes:
        examples_file: the examples to train on, made from those of the config; "" for these.
        transition_matrix: `[num_classes, num_classes]`, an estimate for the methods that start with
            one; None for the method's own.
        facts: what result.json says of the rounds.
    """

    examples_file: str = ""
    transition_matrix: np.ndarray | None = None
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Setup:
    """The data and the model of a run, ready for its first step.

    Args:
        config: the run, completed by `defaults.resolve`.
        strategy: the devices to train on.
        before: what earlier rounds leave to the run.
        servers: what makes the training batches instead of this process.

    Attributes:
        config, strategy, servers: as above.
        data: the noisy splits, prepared if they were missing.
        network: the network, from images to logits.
        backbone: the network before its head, if the head trains alone on cached features; or None.
        model: the model, compiled, with all its variables built. It trains the network, or its head
            on the features that `data` then has.
        image_shape: what the network takes, `(height, width, channels)`.
        shown: `augmentation` and `image_shape` for the pipeline.

    Raises:
        InputError: the data can't be prepared, or the network can't be built for its images.
    """

    data: splits.NoisySplits
    network: keras.Model
    backbone: keras.Model | None
    model: NoisyLabelModel
    shown: dict[str, Any]

    def __init__(
        self,
        config: RunConfig,
        strategy: tf.distribute.Strategy,
        before: BeforeRun = BeforeRun(),
        servers: Servers = NO_SERVERS,
    ):
        self.config, self.strategy, self.servers = config, strategy, servers
        training = config.training
        if servers.addresses and training.uses_cached_features:
            raise InputError(
                f"data_service={','.join(servers.addresses)} has no images to serve where the head "
                "trains on features: omit it, or give --feature_views=0."
            )
        chosen = {"examples_file": before.examples_file} if before.examples_file else {}
        self.data = data = _prepare(dataclasses.replace(config.data, **chosen), training, strategy)
        strategies.check_same(strategy, self._identity())
        servers.check(data.path, data.files("train"))
        self.image_shape = augment.shown_shape(data.image_shape, training.image_size)
        augmentation = augment.get(training.augmentation, data.image_shape)
        self.shown = dict(augmentation=augmentation, image_shape=self.image_shape)
        self._columns = ["image", "label"]
        self._columns += ["is_clean"] if data.manifest["realized_noise_rate"] is not None else []
        needs_index = methods.get(config.method).uses_index or training.audit
        self._columns += ["index"] if needs_index else []
        self._columns += ["example_weight"] if data.weights is not None else []
        with strategy.scope():
            self.network = trained = build_network(config, self.image_shape, len(data.class_names))
            self._check_inference()
            self.backbone = None
            if training.uses_cached_features:
                self.backbone, trained = trained_layers.cut(self.network)
        if self.backbone is not None:
            self.data = cached_features.with_features(
                data, training, self.backbone, augmentation, strategy
            )
            shape = self.backbone.output_shape[1:]
            self.shown = dict(augmentation=augment.VIEWS, image_shape=shape)
        with strategy.scope():
            self.model = build_model(config, trained, data.num_examples("train"))
            set_transition_matrix(self.model, data.manifest, before.transition_matrix)
        spec = pipeline.batch_spec(training.batch_size, self.shown["image_shape"], self._columns)
        self.model.build_for(spec)

    def _check_inference(self):
        training, data = self.config.training, self.data
        if training.inference == "rog":
            labels = examples.columns(data, "train", ["label"])["label"]
            labels = labels if data.kept is None else labels[data.kept]
            rog_heads.check(self.network, training.rog_layers, labels, data.class_names)

    def _identity(self):
        """What must be the same on all workers, whatever their files are called."""
        return {
            "split_sha256": self.data.manifest["split_sha256"],
            "examples_sha256": self.data.examples_sha256,
            "network_sha256": networks.sha256(self.config.training.network),
        }

    def train_batches(self, step: int) -> tf.distribute.DistributedDataset:
        """The training batches from a step on, distributed to the strategy's replicas."""
        training = self.config.training
        return self.strategy.distribute_datasets_from_function(
            lambda context: pipeline.train_batches(
                self.data,
                training.batch_size,
                training.seed,
                start_step=step,
                columns=self._columns,
                context=context,
                train_steps=training.train_steps,
                servers=self.servers,
                **self.shown,
            )
        )

    def evaluation(self) -> Evaluation:
        """Makes the run's evaluation."""
        return Evaluation(self.model, self.data, self.config.training.batch_size, **self.shown)


def _prepare(config, training, strategy):
    """The run's data: if it is missing, the chief prepares it before the others load it."""
    if not strategies.is_chief(strategy):
        strategies.wait_for_all(strategy)
    data = splits.prepare(config)
    if strategies.is_chief(strategy):
        strategies.wait_for_all(strategy)
    if len(data.class_names) < 2:
        raise InputError(
            f"dataset={config.dataset} has one class, {data.class_names[0]}: training needs at "
            "least two."
        )
    stages.of(data, training.batch_size, training.train_steps)
    if "test" not in data:
        raise InputError(
            f"dataset={config.dataset} has no test split: choose a data set with one, to measure "
            "accuracy."
        )
    return data


def _train(setup, output, folder, facts):
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
                image_shape=setup.image_shape,
                stored_image_shape=data.image_shape,
                augmentation=training.augmentation,
                split_sha256=data.manifest["split_sha256"],
                examples_sha256=data.examples_sha256,
                onednn=backend.uses_onednn(),
                realized_noise_rate=data.manifest["realized_noise_rate"],
                backbone_sha256=""
                if setup.backbone is None
                else cached_features.weights_sha256(setup.backbone),
            )
            folder.write_network(setup.network)
            folder.begin()
        profiled = output.profile_steps if is_chief else ()
        profile = Profile(profiled, folder.path / layout.TENSORBOARD)
        every = output.checkpoint_every or min(training.eval_every, training.train_steps)
        tracker = trackers.start(output.tracker if is_chief else "none", folder, progress.rows)
        with tracker:
            report = Report(setup.evaluation(), folder, data, progress, tracker, is_chief)
            loop = Loop(model, training, progress, report.add, checkpoints, every, profile)
            with setup.servers.connected():
                loop.run(batches)
            is_rog = training.inference == "rog" and is_chief
            return report.finish(
                rog.finish(folder.path, data) if is_rog else None,
                images_per_second=progress.speed(training.batch_size)["images_per_second"],
                **facts,
            )


def _not_shared(folder):
    return InputError(
        f"model_dir={folder} holds other results on some workers: name a folder on storage that "
        "all of them share."
    )


def _resume(model, checkpoints, training, strategy):
    """Restores the last checkpoint, if there is one, and returns the run's progress."""
    saved = checkpoints.restore() or {}
    progress, step = Progress(**saved), int(model.step.numpy())
    if not strategies.all_agree(strategy, step):
        raise _not_shared(checkpoints.folder.parent)
    total, stride = training.train_steps, training.steps_per_execution
    if step > total:
        raise InputError(
            f"train_steps={total} is less than the {step} steps that are done: give at "
            f"least {step}."
        )
    if step % stride:
        raise InputError(
            f"steps_per_execution={stride} does not divide the {step} steps that are done: choose "
            f"a divisor of {step}."
        )
    if step and strategies.is_chief(strategy):
        _log.info("Continuing from step %d of %d", step, total)
    return progress


@contextlib.contextmanager
def short_errors(config: RunConfig, strategy: tf.distribute.Strategy) -> Iterator[None]:
    """A context that turns TensorFlow's long errors about a user's mistakes into short ones.

    Args:
        config: the run.
        strategy: the devices to train on.

    Raises:
        InputError: a file of the split is damaged, XLA lacks a kernel for the network, memory is
            too small, or a worker is lost.
    """
    try:
        yield
    except (*examples.DAMAGE, tf.errors.InvalidArgumentError) as error:
        if examples.is_damage(error):
            data = splits.load(splits.folder(splits.resolve(config.data)))
            raise examples.damage(data) from error
        lacking = re.search(r"No registered '(\w+)' OpKernel", str(error))
        if lacking is None:
            raise
        raise InputError(
            f"jit_compile={config.training.jit_compile}: XLA has no kernel for {lacking[1]}, which "
            f"network={config.training.network} uses: train with --jit_compile=false."
        ) from error
    except tf.errors.ResourceExhaustedError as error:
        raise InputError(
            f"network={config.training.network} needs more memory than there is: choose a smaller "
            "--batch_size or --image_size."
        ) from error
    except LOST_WORKER as error:
        if not strategies.is_multi_worker(strategy):
            raise
        cause = re.search(r"Collective ops is aborted by: (.*\w)", str(error))
        reason = f" ({cause[1]})" if cause else ""
        raise InputError(
            f"Another worker has stopped{reason}: see its output, and start all workers again."
        ) from error

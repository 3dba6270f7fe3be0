"""Reads a run back from its folder: its config, its result and its trained network."""

import dataclasses
from typing import Any

import keras
import tensorflow as tf
from etils import epath

from mentormix_tf import files, networks, npz
from mentormix_tf.config import RunConfig
from mentormix_tf.data import augment
from mentormix_tf.errors import InputError
from mentormix_tf.inference import rog
from mentormix_tf.networks import trained_layers
from mentormix_tf.runs import checkpoint_files, contents, flags_txt, layout, rog_file

__all__ = ["WEIGHTS", "SavedRun", "TrainedNetwork", "load_network", "read"]

WEIGHTS = ("auto", "last", "best", "averaged")


@dataclasses.dataclass(frozen=True)
class SavedRun:
    """A run's folder as read from disk. The run's data set need not exist any more.

    Attributes:
        path: the folder.
        config: the config that repeats the run.
        model: the contents of model.json: the network's input and output, and the data.
        result: the contents of result.json; empty until the run is done.
    """

    path: epath.Path
    config: RunConfig
    model: dict[str, Any]
    result: dict[str, Any]

    @property
    def class_names(self) -> list[str]:
        """A name for each class."""
        return self.model["class_names"]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The network's input: `(height, width, channels)`."""
        height, width, channels = self.model["image_shape"]
        return height, width, channels

    @property
    def has_backbone(self) -> bool:
        """Whether the head trained alone, on cached features, so that checkpoints have it alone."""
        return bool(self.model.get("backbone_sha256"))

    @property
    def augmentation(self) -> augment.Augmentation:
        """The augmentation whose `decode_eval` and `resize_eval` evaluation uses."""
        stored = tuple(self.model["stored_image_shape"])
        return augment.for_evaluation(augment.get(self.model["augmentation"], stored), stored)


@dataclasses.dataclass(frozen=True)
class TrainedNetwork:
    """A network with the weights of a run.

    Attributes:
        network: `keras.Model` from images `[batch, height, width, channels]`, float32, in [0, 255],
            to logits `[batch, num_classes]`. It computes in float32.
        weights: `last`, `best` or `averaged`.
        step: the training step of these weights.
        measured: that step's row of metrics.csv, as text; its accuracies alone if the run's
            `inference` is not softmax; empty if it was not evaluated.
    """

    network: keras.Model
    weights: str
    step: int
    measured: dict[str, str]


def read(model_dir: epath.PathLike) -> SavedRun:
    """Reads a run's folder.

    Args:
        model_dir: the folder, which may be remote.

    Raises:
        InputError: it is not a run's folder, or one of its files can't be read.
    """
    path = files.expanded(model_dir, "model_dir")
    if not files.exists(path, "model_dir"):
        raise InputError(f"model_dir={model_dir} does not exist.")
    if not path.is_dir():
        raise InputError(f"model_dir={model_dir} is not a folder: name a run's folder.")
    for name in (layout.FLAGS, layout.MODEL):
        if not (path / name).exists():
            inside = sorted(each.name for each in path.iterdir() if (each / name).exists())
            hint = f": name one of its runs, {', '.join(inside)}" if inside else ""
            if layout.ROUNDS in inside:
                begun = path / layout.ROUNDS / layout.FLAGS
                again = f"--flagfile={begun} --model_dir={model_dir}"
                hint = f": it has only rounds so far, go on with train {again}"
            raise InputError(f"model_dir={model_dir} is not a run's folder: no {name}{hint}.")
    result = path / layout.RESULT
    return SavedRun(
        path,
        flags_txt.read(path / layout.FLAGS),
        contents.model(path / layout.MODEL),
        contents.result(result, is_whole=False) if result.exists() else {},
    )


def load_network(run: SavedRun, weights: str = "auto", own_softmax: bool = False) -> TrainedNetwork:
    """Builds a run's network in float32, whatever it was trained in, and loads its weights.

    Args:
        run: the run.
        weights: `last`, at the end of training; `best`, with the highest accuracy on the noisy
            validation split; `averaged`, the moving average; `auto` for `averaged` if the run kept
            an average, else `last`.
        own_softmax: whether to get the network as it was trained, though the run's `inference` may
            be another.

    Raises:
        InputError: the run has no such weights, or they can't be read.
    """
    if weights not in WEIGHTS:
        raise InputError(f"weights={weights} is unknown: choose one of {', '.join(WEIGHTS)}.")
    keeps_average = run.config.training.ema_decay > 0
    if weights == "auto":
        weights = "averaged" if keeps_average else "last"
    if weights == "averaged" and not keeps_average:
        raise InputError(
            f"weights=averaged: the run in {run.path} kept no average: choose last, or train with "
            "--ema_decay=0.999."
        )
    path = _checkpoint(run, weights)
    # A SavedModel can't have variables whose names begin as some layers' do, such as _bn1.
    with tf.name_scope("network"):
        network = trained = _untrained(run)
    if run.has_backbone:
        trained = network.layers[-1]
        _assign_backbone(run, network)
    variables = {f"network/{i}": variable for i, variable in enumerate(trained.variables)}
    if weights == "averaged":
        # The averages replace the trainable weights; BatchNorm's statistics are not averaged.
        _assign(variables, path)
        variables = {f"average/{i}": w for i, w in enumerate(trained.trainable_weights)}
    _assign(variables, path)
    step = checkpoint_files.step_of(path)
    training = run.config.training
    if own_softmax or training.inference == "softmax":
        return TrainedNetwork(network, weights, step, _measured(run, step))
    heads = rog_file.read(run.path / layout.ROG, weights, training.rog_layers, len(run.class_names))
    network = rog.with_heads(network, heads)
    return TrainedNetwork(network, weights, step, _measured_at_the_end(run, weights))


def _untrained(run):
    """The run's network with other weights; its file need not exist any more."""
    name = run.config.training.network
    if networks.keeps_layers(name):
        return networks.rebuild(name, run.path / layout.NETWORK)
    return networks.build(name, run.image_shape, len(run.class_names), pretrained=False)


def _assign_backbone(run, network):
    """Assigns the weights of the layers before a head that trained alone."""
    path = run.path / layout.BACKBONE
    weights = trained_layers.backbone_weights(network)
    try:
        stored = npz.arrays(files.contents(path), 8 * network.count_params() + 2**20)
        for i, weight in enumerate(weights):
            weight.assign(stored[str(i)])
    except npz.UNREADABLE as error:
        reason = files.reason(error)
        raise InputError(f"{path} can't be read as this run's weights: {reason}.") from error


def _checkpoint(run, weights):
    folder = run.path / layout.CHECKPOINTS
    if weights == "best":
        folder = folder / layout.BEST
        if not folder.exists():
            raise InputError(
                f"weights=best: the run in {run.path} had no validation split to choose by: choose "
                "last, or train with --validation_fraction=0.1."
            )
    paths = checkpoint_files.saved(folder)
    if not paths:
        raise InputError(f"model_dir={run.path} has no checkpoint yet in {folder}: train first.")
    return paths[-1]


def _assign(variables, path):
    """Assigns a checkpoint's values to variables, which are named by their keys in it."""
    try:
        reader = checkpoint_files.read(path)
        for key, variable in variables.items():
            variable.assign(reader.get_tensor(f"{key}/.ATTRIBUTES/VARIABLE_VALUE"))
    except (ValueError, LookupError, RuntimeError, tf.errors.OpError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise InputError(f"{path} can't be read as this run's weights: {reason}.") from error


def _measured_at_the_end(run, weights):
    """What result.json has of weights that another classifier than the softmax looks at."""
    prefix = "averaged_" if weights == "averaged" else ""
    names = {f"{prefix}test_accuracy": f"{prefix}final_accuracy"}
    if weights == "last":
        names["validation_accuracy"] = "final_validation_accuracy"
    if weights == "best":
        return {}
    return {name: str(run.result[own]) for name, own in names.items() if own in run.result}


def _measured(run, step):
    path = run.path / layout.METRICS
    rows = files.read_csv(path) if path.exists() else []
    row = next((row for row in rows if row.get("step") == str(step)), {})
    for name, text in row.items():
        if text and not files.is_number(text):
            raise InputError(f"{path} has {name}={text!r} at step {step}: restore it.")
    return row

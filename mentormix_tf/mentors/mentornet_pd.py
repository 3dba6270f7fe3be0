"""MentorNet-PD: the learned mentor of the released code, with this package's own weights.

The network was trained on a predefined curriculum (see `curriculum`): it maps an example's loss and
the progress of training to a weight (Jiang et al., "MentorNet", ICML 2018). Its shapes and its
arithmetic are those of the released code, google-research `mentormix`.
"""

import os
import pathlib
import zipfile
from collections.abc import Collection, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf.errors import InputError
from mentormix_tf.mentors.base import Mentor

__all__ = [
    "LARGEST_DIFFERENCE",
    "LARGEST_LOSS",
    "SHIPPED",
    "WEIGHTS",
    "MentorNetPD",
    "if_there",
    "mentor_logits",
    "read_weights",
]

SHIPPED = pathlib.Path(__file__).with_suffix(".npz")

# The range of the training data (google/mentornet, training_mentornet/data_generator.py).
LARGEST_LOSS = 30.0
LARGEST_DIFFERENCE = 5.0

_CELL = "bidirectional_rnn/{}/basic_lstm_cell/{}"

# Each weight's shape, and its name under "mentornet/" in the released checkpoint.
WEIGHTS = {
    "label_embedding": ((3, 5), "label_embedding"),
    "progress_embedding": ((100, 10), "epoch_embedding"),
    "forward_kernel": ((3, 4), _CELL.format("fw", "kernel")),
    "forward_bias": ((4,), _CELL.format("fw", "bias")),
    "backward_kernel": ((3, 4), _CELL.format("bw", "kernel")),
    "backward_bias": ((4,), _CELL.format("bw", "bias")),
    "hidden_kernel": ((17, 20), "Variable"),
    "hidden_bias": ((20,), "Variable_1"),
    "output_kernel": ((20, 1), "Variable_2"),
    "output_bias": ((1,), "Variable_3"),
}


@keras.saving.register_keras_serializable("mentormix_tf")
class MentorNetPD(Mentor):
    """v = the output of a small network for the loss, loss - γ and the progress of training.

    With the shipped weights, v in the first 80 % of training is 1 for losses up to about γ + 0.05,
    else 0; after that, it falls linearly from 1 at γ to 0 at γ + 1.

    Inputs beyond the range of the training data are clipped: losses to [0, 30], loss - γ to
    [-5, 5]. An infinite or NaN loss gets the weight NaN, and if γ is infinite or NaN, so does every
    loss: a finite weight could hide it by leaving it out of training.

    The weights are not trainable. A saved model contains them, and can be loaded without the
    checkpoint.

    Args:
        *args: arguments of `Mentor`.
        checkpoint: weights to use, see `read_weights`: a checkpoint of the released code (TF1
            format), or an .npz file that `python -m mentormix_tf.train_mentor` wrote; "" for the
            shipped ones.
        **kwargs: arguments of `Mentor`.

    Raises:
        InputError: an argument is out of range, or the checkpoint can't be read.
    """

    def __init__(self, *args: Any, checkpoint: str = "", **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.checkpoint = checkpoint
        self.network = {
            name: self.add_weight(
                name=name,
                shape=value.shape,
                initializer=keras.initializers.Constant(value),  # pyright: ignore[reportArgumentType]
                trainable=False,
            )
            for name, value in read_weights(checkpoint or SHIPPED).items()
        }

    def weigh(
        self, losses: tf.Tensor, gamma: tf.Tensor | float, progress: tf.Tensor | float
    ) -> tf.Tensor:
        differences = losses - gamma
        # Rounded down, as in the released code; the end of training belongs to stage 99.
        stage = tf.cast(tf.clip_by_value(tf.floor(100.0 * progress), 0.0, 99.0), tf.int32)
        logits = mentor_logits(self.network, losses, differences, tf.fill(tf.shape(losses), stage))
        return tf.where(tf.math.is_finite(differences), tf.sigmoid(logits), np.nan)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "checkpoint": self.checkpoint}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MentorNetPD":
        return cls(**{**config, "checkpoint": if_there(config["checkpoint"])})


def mentor_logits(
    weights: Mapping[str, Any], losses: tf.Tensor, differences: tf.Tensor, stages: tf.Tensor
) -> tf.Tensor:
    """Computes the logits of MentorNet-PD.

    Two quirks of the released code are kept, since its weights were learned with them. The output
    bias is added to the output *weights*, not to the output (`mentornet_nn` in its utils.py); and
    the two LSTM cells pass on their cell state, not their output. After one step from a state of
    zeros, the cell state is sigmoid(i)·tanh(j): the forget gate, the output gate and the kernel's
    last row have no effect. The network's label input is always 0.

    Args:
        weights: float32 arrays, tensors or variables with the names and shapes of `WEIGHTS`.
        losses: `[batch]`, float32; clipped to [0, 30].
        differences: `[batch]`, float32, loss - γ; clipped to [-5, 5].
        stages: `[batch]`, int32, in [0, 99], the hundredth of training.

    Returns:
        `[batch]`, float32; their sigmoid is v.
    """
    losses = tf.clip_by_value(losses, 0.0, LARGEST_LOSS)
    differences = tf.clip_by_value(differences, -LARGEST_DIFFERENCE, LARGEST_DIFFERENCE)
    inputs = tf.stack([losses, differences], axis=1)
    label = tf.convert_to_tensor(weights["label_embedding"])[0]
    features = tf.concat(
        [
            tf.tile(label[None], [tf.shape(losses)[0], 1]),  # pyright: ignore[reportArgumentType]
            tf.gather(tf.convert_to_tensor(weights["progress_embedding"]), stages),
            _cell_state(inputs, weights["forward_kernel"], weights["forward_bias"]),
            _cell_state(inputs, weights["backward_kernel"], weights["backward_bias"]),
        ],
        axis=1,
    )
    hidden = tf.tanh(tf.matmul(features, weights["hidden_kernel"]) + weights["hidden_bias"])
    return tf.matmul(hidden, weights["output_kernel"] + weights["output_bias"])[:, 0]


def _cell_state(inputs, kernel, bias):
    """`[batch, 1]`: an LSTM cell's state after one step; the kernel's columns are i, j, f, o."""
    kernel, bias = tf.convert_to_tensor(kernel), tf.convert_to_tensor(bias)
    gates = tf.matmul(inputs, kernel[:2, :2]) + bias[:2]
    return tf.sigmoid(gates[:, :1]) * tf.tanh(gates[:, 1:])


def if_there(checkpoint: str) -> str:
    """Returns the path of a checkpoint if it exists, else "".

    A saved model contains its mentor's weights, so it can be loaded without the checkpoint.

    Args:
        checkpoint: see `MentorNetPD`.
    """
    file = checkpoint if checkpoint.endswith(".npz") else f"{_prefix(checkpoint)}.index"
    return checkpoint if pathlib.Path(file).exists() else ""


def _prefix(path: str | pathlib.Path) -> str:
    """The path that a TF1 checkpoint's files begin with; `path` itself if there is none."""
    given = str(path).removesuffix(".index")
    if os.path.exists(f"{given}.index") or not os.path.isdir(given):
        return given
    # The released folder has no file `checkpoint`, which would name the latest one.
    latest = tf.train.latest_checkpoint(given)
    found = [latest] if latest else [str(index) for index in pathlib.Path(given).glob("*.index")]
    return found[0].removesuffix(".index") if len(found) == 1 else given


def read_weights(path: str | pathlib.Path) -> dict[str, np.ndarray]:
    """Reads the weights of MentorNet-PD.

    Args:
        path: an .npz file, or a TF1 checkpoint: the path that its files begin with, one of them
            that ends in .index, or a folder with no other checkpoint.

    Returns:
        Float32 arrays with the names and shapes of `WEIGHTS`.

    Raises:
        InputError: the checkpoint is missing, damaged, or of another network.
    """
    names = {name: name for name in WEIGHTS}
    if not str(path).endswith(".npz"):
        names = {name: f"mentornet/{theirs}" for name, (_, theirs) in WEIGHTS.items()}
    try:
        found = _read_arrays(path, names.values())
    except KeyError as error:
        raise InputError(
            f"The checkpoint {path} has no variable {error.args[0]}: give one of MentorNet-PD."
        ) from error
    except (
        OSError,
        ValueError,
        EOFError,
        IndexError,  # raised by TensorFlow for truncated data
        zipfile.BadZipFile,
        tf.errors.OpError,
    ) as error:
        raise InputError(
            f"The checkpoint {path} can't be read: give an .npz file, or a TF1 checkpoint's path, "
            "with or without .index, or its folder, which must have no other."
        ) from error
    for name, (shape, _) in WEIGHTS.items():
        array = found[names[name]]
        if array.shape != shape or array.dtype != np.float32:
            raise InputError(
                f"The checkpoint {path} has {names[name]} as {array.dtype} {array.shape}, but "
                f"MentorNet-PD's is float32 {shape}."
            )
    return {name: found[names[name]] for name in WEIGHTS}


def _read_arrays(path: str | pathlib.Path, names: Collection[str]) -> dict[str, np.ndarray]:
    """Reads arrays from a file by name; raises KeyError for the first that is missing."""
    if str(path).endswith(".npz"):
        with np.load(path) as arrays:
            return {name: arrays[name] for name in names}
    reader = tf.train.load_checkpoint(_prefix(path))
    for name in names:
        if not reader.has_tensor(name):
            raise KeyError(name)
    return {name: reader.get_tensor(name) for name in names}

"""MentorNet-PD: the learned mentor of the released code, with weights of this package's own.

The network was taught a predefined curriculum (see `curriculum`), so that it answers "how far is an
example with this loss to be trusted, at this stage of training?" (Jiang et al., "MentorNet", ICML
2018.) Its shapes and its arithmetic are those of the released code, google-research `mentormix`.
"""

import pathlib
import zipfile

import keras
import numpy as np
import tensorflow as tf

from mentormix_tf.errors import InputError
from mentormix_tf.mentors.base import Mentor

SHIPPED = pathlib.Path(__file__).with_suffix(".npz")

# What the network was taught on (google/mentornet, training_mentornet/data_generator.py).
LARGEST_LOSS = 30.0
LARGEST_DIFFERENCE = 5.0

_CELL = "bidirectional_rnn/{}/basic_lstm_cell/{}"

# Each weight's shape, and its name in the released checkpoint, below "mentornet/".
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
    """v = what a small network says of the loss, of loss - γ and of the progress of training.

    With the shipped weights it trusts, in the first 80 % of training, what has a loss less than
    about 0.05 above γ; after that, trust falls in a line from 1 at γ to 0 at γ + 1.

    Beyond what the network was taught, inputs count as the nearest that it was taught: losses as 0
    to 30, loss - γ as -5 to 5. A loss that is infinite or NaN gets the weight NaN, as does every
    loss where γ is: a finite weight could take it out of training unseen.

    The weights are not trainable. A saved model holds them, and can be loaded where the checkpoint
    is no more.

    Args:
        gamma_p, loss_ema_decay, percentile_interpolation, burn_in: see `Mentor`.
        checkpoint: weights to use: the prefix of a checkpoint of the released code (TF1 format), or
            an .npz file that `python -m mentormix_tf.teach` wrote; "" for the shipped ones.

    Raises:
        InputError: an argument outside its range, or a checkpoint that can't be read.
    """

    def __init__(self, *args, checkpoint: str = "", **kwargs):
        super().__init__(*args, **kwargs)
        self.checkpoint = checkpoint
        self.network = {
            name: self.add_weight(
                name=name,
                shape=value.shape,
                initializer=keras.initializers.Constant(value),
                trainable=False,
            )
            for name, value in read_weights(checkpoint or SHIPPED).items()
        }

    def weigh(self, losses, gamma, progress):
        differences = losses - gamma
        # Rounded down, as in the released code; the end of training counts to its last hundredth.
        stage = tf.cast(tf.clip_by_value(tf.floor(100.0 * progress), 0.0, 99.0), tf.int32)
        logits = mentor_logits(self.network, losses, differences, tf.fill(tf.shape(losses), stage))
        return tf.where(tf.math.is_finite(differences), tf.sigmoid(logits), np.nan)

    def get_config(self):
        return {**super().get_config(), "checkpoint": self.checkpoint}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "checkpoint": if_there(config["checkpoint"])})


def mentor_logits(weights, losses, differences, stages):
    """MentorNet-PD, up to its sigmoid.

    Two quirks of the released code are kept, since its weights were learned with them. The output
    bias is added to the output *weights*, not to the output (`mentornet_nn` in its utils.py); and
    what goes on from the two LSTM cells is their cell state, not their output. After the one step
    that they take from a state of zeros it is sigmoid(i)·tanh(j): neither the forget gate nor the
    output gate, nor the kernel's last row, have a say. The label that the network was made to take
    is always 0.

    Args:
        weights: dict of tensors with the names and shapes of `WEIGHTS`.
        losses: `[batch]`, float32; taken as in [0, 30].
        differences: `[batch]`, float32, loss - γ; taken as in [-5, 5].
        stages: `[batch]`, int32, in [0, 99]: hundredths of training that are done.

    Returns:
        `[batch]`, float32; their sigmoid is v.
    """
    losses = tf.clip_by_value(losses, 0.0, LARGEST_LOSS)
    differences = tf.clip_by_value(differences, -LARGEST_DIFFERENCE, LARGEST_DIFFERENCE)
    inputs = tf.stack([losses, differences], axis=1)
    label = tf.convert_to_tensor(weights["label_embedding"])[0]
    features = tf.concat(
        [
            tf.tile(label[None], [tf.shape(losses)[0], 1]),
            tf.gather(tf.convert_to_tensor(weights["progress_embedding"]), stages),
            _cell_state(inputs, weights["forward_kernel"], weights["forward_bias"]),
            _cell_state(inputs, weights["backward_kernel"], weights["backward_bias"]),
        ],
        axis=1,
    )
    hidden = tf.tanh(tf.matmul(features, weights["hidden_kernel"]) + weights["hidden_bias"])
    return tf.matmul(hidden, weights["output_kernel"] + weights["output_bias"])[:, 0]


def _cell_state(inputs, kernel, bias):
    """`[batch, 1]`: an LSTM cell's state after one step; the kernel has its gates as i, j, f, o."""
    kernel, bias = tf.convert_to_tensor(kernel), tf.convert_to_tensor(bias)
    gates = tf.matmul(inputs, kernel[:2, :2]) + bias[:2]
    return tf.sigmoid(gates[:, :1]) * tf.tanh(gates[:, 1:])


def if_there(checkpoint):
    """A checkpoint's path as long as it leads to one, else "".

    A saved model holds its mentor's weights, so it can be loaded where the checkpoint is not.

    Args:
        checkpoint: as `MentorNetPD` takes it.
    """
    file = checkpoint if checkpoint.endswith(".npz") else f"{checkpoint}.index"
    return checkpoint if pathlib.Path(file).exists() else ""


def read_weights(path):
    """Reads a network's weights.

    Args:
        path: an .npz file, or the prefix of a TF1 checkpoint.

    Returns:
        Dict of float32 arrays with the names and shapes of `WEIGHTS`.

    Raises:
        InputError: there is nothing, or something else.
    """
    names = {name: name for name in WEIGHTS}
    if not str(path).endswith(".npz"):
        names = {name: f"mentornet/{theirs}" for name, (_, theirs) in WEIGHTS.items()}
    try:
        found = _read_arrays(path, names.values())
    except KeyError as error:
        raise InputError(
            f"The checkpoint {path} has no variable {error.args[0]}: it is not of MentorNet-PD."
        ) from error
    except (
        OSError,
        ValueError,
        EOFError,
        IndexError,  # what TensorFlow makes of data that ends too early
        zipfile.BadZipFile,
        tf.errors.OpError,
    ) as error:
        raise InputError(
            f"The checkpoint {path} can't be read: give an .npz file, or a TF1 checkpoint's path "
            "without .index."
        ) from error
    for name, (shape, _) in WEIGHTS.items():
        array = found[names[name]]
        if array.shape != shape or array.dtype != np.float32:
            raise InputError(
                f"The checkpoint {path} holds {names[name]} as {array.dtype} {array.shape}, but "
                f"MentorNet-PD's is float32 {shape}."
            )
    return {name: found[names[name]] for name in WEIGHTS}


def _read_arrays(path, names):
    """Dict of the named arrays of a file; KeyError for the first that it does not have."""
    if str(path).endswith(".npz"):
        with np.load(path) as arrays:
            return {name: arrays[name] for name in names}
    reader = tf.train.load_checkpoint(str(path))
    for name in names:
        if not reader.has_tensor(name):
            raise KeyError(name)
    return {name: reader.get_tensor(name) for name in names}

"""Writes warm-up requests, which TensorFlow Serving sends to a model before it takes others.

They are in assets.extra/tf_serving_warmup_requests: TFRecords of PredictionLog, a message of
TensorFlow Serving. Its Python package is needed for nothing else, so the few fields of a request
are encoded here by their numbers, taken from prediction_log.proto, predict.proto and model.proto
in github.com/tensorflow/serving, tensorflow_serving/apis.
"""

from collections.abc import Iterable, Mapping

import tensorflow as tf
from etils import epath
from numpy.typing import ArrayLike

__all__ = ["FILE", "FOLDER", "prediction_log", "write"]

FOLDER, FILE = "assets.extra", "tf_serving_warmup_requests"


def write(
    path: epath.Path, requests: Iterable[tuple[str, Mapping[str, ArrayLike | tf.Tensor]]]
) -> None:
    """Writes requests to the folder of a SavedModel.

    Args:
        path: the SavedModel's folder.
        requests: pairs of a signature's name and its inputs by name.
    """
    (path / FOLDER).mkdir()
    with tf.io.TFRecordWriter(str(path / FOLDER / FILE)) as writer:
        for signature, inputs in requests:
            writer.write(prediction_log(signature, inputs))


def prediction_log(signature: str, inputs: Mapping[str, ArrayLike | tf.Tensor]) -> bytes:
    """A serialized PredictionLog with one request.

    Args:
        signature: name of the signature to call.
        inputs: the signature's inputs by name.
    """
    model_spec = _field(3, signature.encode())  # signature_name
    request = _field(1, model_spec)
    for name, values in inputs.items():
        tensor = tf.make_tensor_proto(values).SerializeToString()
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))  # an entry of the map
    return _field(6, _field(1, request))  # predict_log.request


def _field(number, content):
    """Encodes a field that is a string, bytes or a message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value):
    """Encodes an integer in groups of 7 bits, lowest first; all but the last have bit 8 set."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])

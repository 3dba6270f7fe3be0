"""Requests that TensorFlow Serving sends a model before it takes others, so that none is slow.

They stand in assets.extra/tf_serving_warmup_requests: TFRecords of PredictionLog, a message of
TensorFlow Serving's. Its Python package is needed for nothing else, so the few fields that a
request has are written here by their numbers, from prediction_log.proto, predict.proto and
model.proto in github.com/tensorflow/serving, tensorflow_serving/apis.
"""

import tensorflow as tf

FOLDER, FILE = "assets.extra", "tf_serving_warmup_requests"


def write(path, requests):
    """Writes the requests to the folder of a SavedModel.

    Args:
        path: `epath.Path` of the SavedModel.
        requests: pairs of a signature's name and a dict from input names to arrays.
    """
    (path / FOLDER).mkdir()
    with tf.io.TFRecordWriter(str(path / FOLDER / FILE)) as writer:
        for signature, inputs in requests:
            writer.write(prediction_log(signature, inputs))


def prediction_log(signature, inputs):
    """A PredictionLog with one request.

    Args:
        signature: name of the signature to call.
        inputs: dict from input names to arrays or tensors.

    Returns:
        The serialized message.
    """
    model_spec = _field(3, signature.encode())  # signature_name
    request = _field(1, model_spec)
    for name, values in inputs.items():
        tensor = tf.make_tensor_proto(values).SerializeToString()
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))  # an entry of the map
    return _field(6, _field(1, request))  # predict_log.request


def _field(number, content):
    """A field of a message that is a string, bytes or a message itself."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value):
    """An integer in groups of 7 bits, the lowest first; each but the last has its 8th bit set."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])

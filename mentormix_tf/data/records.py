"""Records of a split's files, compared with what was written.

The fingerprint of a file is the sum, modulo 2**64, of a hash of each of its records: images, labels
and ids. It is checked while the file is read, so that also data sets that are too large to be read
in advance are checked. It finds accidents, such as a file of another split; it is no protection
from those who can change the manifest, too.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from etils import epath

__all__ = ["NOT_AS_WRITTEN", "UNKNOWN", "checked", "fingerprint", "is_as_written", "written"]

NOT_AS_WRITTEN = "does not have the records that were written"  # in the error of a checked file
UNKNOWN = 0  # stands for the fingerprint of a file whose manifest has none
_BATCH = 64  # records that are hashed at once


def fingerprint(path: epath.PathLike) -> str:
    """Computes the fingerprint of a file, as 16 hexadecimal digits.

    Args:
        path: a file of TFRecords.

    Raises:
        tf.errors.OpError: the file can't be read, or a record is damaged.
    """
    batches = tf.data.TFRecordDataset(str(path)).batch(_BATCH)
    total = batches.reduce(tf.constant(0, tf.int64), lambda total, batch: total + _sum(batch))
    return f"{int(total) % 2**64:016x}"


def written(manifest: Mapping[str, Any], name: str) -> int:
    """The fingerprint of a file in a manifest, as a signed integer of 64 bits.

    Args:
        manifest: the manifest; those of older versions have no fingerprints.
        name: name of the file.

    Returns:
        The number that `checked` takes, `UNKNOWN` if the manifest has none.
    """
    number = int(manifest.get("fingerprints", {}).get(name, "0"), 16)
    return number - 2**64 if number >= 2**63 else number


def is_as_written(path: epath.Path, manifest: Mapping[str, Any]) -> bool:
    """Whether a file has the fingerprint that a manifest says, or the manifest says none.

    Args:
        path: a file of TFRecords, which can be read to its end.
        manifest: the manifest of the split.
    """
    known = manifest.get("fingerprints", {}).get(path.name)
    return known is None or known == fingerprint(path)


def checked(path: tf.Tensor, length: tf.Tensor, expected: tf.Tensor) -> tf.data.Dataset:
    """The records of a file, in order; reading its end fails if they are not those written.

    Args:
        path: `[]`, string, the file.
        length: `[]`, int64, number of records written.
        expected: `[]`, int64, the fingerprint as a number, or `UNKNOWN`.

    Returns:
        Records, `[]`, string. After the last of them comes `tf.errors.InvalidArgumentError`, with
        the text `NOT_AS_WRITTEN`, if the number of records or the fingerprint is another.
    """
    end = tf.data.Dataset.from_tensors(tf.zeros([0], tf.string))
    batches = tf.data.TFRecordDataset(path).batch(_BATCH).concatenate(end)
    zero = tf.constant(0, tf.int64)

    def check(state, batch):
        count = state[0] + tf.size(batch, tf.int64)
        total = state[1] + _sum(batch)
        is_right = (count == length) & ((total == expected) | (expected == UNKNOWN))
        is_end = tf.size(batch) == 0
        text = tf.strings.join([path, f" {NOT_AS_WRITTEN}."])
        tf.debugging.Assert(~is_end | is_right, [text])
        return (count, total), batch

    return batches.scan((zero, zero), check).unbatch()


def _sum(batch: tf.Tensor) -> tf.Tensor:
    # The hash function is the same on every machine and in every version of TensorFlow.
    return tf.reduce_sum(tf.strings.to_hash_bucket_fast(batch, 2**62))

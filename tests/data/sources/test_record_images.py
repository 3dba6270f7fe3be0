"""Images in TFRecord files, by position."""

import pickle

import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError
from mentormix_tf.data.sources.record_images import record_images


@pytest.fixture
def files(tmp_path):
    """Three files with images of many sizes, the second one without any; and the images."""
    random, images = np.random.RandomState(0), []
    paths = [tmp_path / name for name in ("first", "empty", "last")]
    for path, count in zip(paths, (7, 0, 5), strict=True):
        with tf.io.TFRecordWriter(str(path)) as writer:
            for _ in range(count):
                images.append(random.bytes(random.randint(1, 70_000)))
                feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=images[-1:]))
                features = tf.train.Features(feature={"image": feature})
                writer.write(tf.train.Example(features=features).SerializeToString())
    return paths, images


def test_any_order_and_any_process(files):
    found, expected = record_images(files[0]), files[1]
    assert len(found) == 12 and list(found) == expected
    order = np.random.RandomState(1).permutation(12)
    assert [found[i] for i in order] == [expected[i] for i in order]
    sent = pickle.loads(pickle.dumps(found.part(order)))
    assert list(sent) == [expected[i] for i in order]


def test_a_flipped_bit_is_found_at_the_start(files):
    path = files[0][2]
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(tf.errors.DataLossError):
        record_images(files[0])


def test_a_file_that_is_cut_afterwards_is_named(files):
    found = record_images(files[0])
    path = files[0][2]
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"last is shorter than it was: prepare it again\.$"):
        found[11]

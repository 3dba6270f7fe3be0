"""Images by position."""

import pickle

import numpy as np
import pytest

from mentormix_tf.data.sources.images_on_demand import ImagesOnDemand


def test_only_what_is_asked_for_is_read():
    asked = []

    def read(key):
        asked.append(key)
        return key.upper()

    images = ImagesOnDemand(["a", "b", "c"], read)
    part = images.part(np.array([2, 0]))
    assert len(images) == 3 and len(part) == 2 and not asked
    assert part[0] == "C" and asked == ["c"]
    assert list(part.then(len)) == [1, 1] and asked == ["c", "c", "a"]
    assert list(images) == ["A", "B", "C"]
    with pytest.raises(IndexError):
        images[3]


def test_arrays_are_images_themselves():
    pixels = np.arange(24).reshape(4, 2, 3, 1)
    part = ImagesOnDemand(pixels).part(np.array([3, 1]))
    np.testing.assert_array_equal(np.stack(list(part)), pixels[[3, 1]])


def test_a_pickled_part_does_not_have_the_rest():
    images = ImagesOnDemand([bytes(10_000)] * 50 + [b"x"])
    sent = pickle.dumps(images.part(np.array([50])))
    assert len(sent) < 1_000 and list(pickle.loads(sent)) == [b"x"]

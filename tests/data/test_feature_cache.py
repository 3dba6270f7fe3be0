"""The files that keep features of images."""

import numpy as np
import pytest

from mentormix_tf.data import feature_cache
from mentormix_tf.data.feature_cache import FeatureCache
from mentormix_tf.errors import InputError

FACTS = {"weights": "abc", "views": 2}
IMAGES = feature_cache.digests([b"one", b"two", b"three", b"two"])


def cache(folder, facts=FACTS, views=2, size=3):
    made = FeatureCache(folder, "my network", facts, views, size)
    made.path.mkdir(exist_ok=True)
    return made


def features(count, first=0):
    return np.arange(6.0 * first, 6.0 * (first + count), dtype=np.float32).reshape(count, 2, 3)


def test_an_image_is_its_contents():
    assert IMAGES[1] == IMAGES[3] and len(set(IMAGES)) == 3
    assert all(len(each) == 32 for each in IMAGES)


def test_what_was_added_is_read_in_any_order(tmp_path):
    filled = cache(tmp_path)
    filled.add(IMAGES[:2], features(2))
    filled.add(IMAGES[2:3], features(1, first=2))
    wanted = feature_cache.digests([b"two", b"four", b"three", b"two", b"one"])
    found, is_there = cache(tmp_path).read(wanted)
    assert is_there.tolist() == [True, False, True, True, True]
    np.testing.assert_array_equal(found[is_there], features(3)[[1, 2, 1, 0]])


def test_nothing_is_there_before_anything_was_added(tmp_path):
    found, is_there = FeatureCache(tmp_path / "missing", "x", FACTS, 2, 3).read(IMAGES)
    assert found.shape == (4, 2, 3) and not is_there.any()


def test_other_facts_are_another_folder(tmp_path):
    assert cache(tmp_path).path != cache(tmp_path, {**FACTS, "views": 3}).path
    assert cache(tmp_path).path.name.startswith("my_network-")


def test_a_file_that_is_half_written_is_not_read(tmp_path):
    filled = cache(tmp_path)
    filled.add(IMAGES[:2], features(2))
    (whole,) = filled.path.glob("*.npz")
    whole.rename(whole.with_name(f"{whole.name}.partial"))
    assert not filled.read(IMAGES)[1].any()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda contents: contents[: len(contents) // 2], id="cut"),
        pytest.param(lambda contents: b"", id="empty"),
        pytest.param(lambda contents: b"features", id="text"),
        pytest.param(
            lambda contents: contents[:200] + bytes([contents[200] ^ 1]) + contents[201:],
            id="flipped",
        ),
    ],
)
def test_a_damaged_file_is_named(tmp_path, damage):
    filled = cache(tmp_path)
    filled.add(IMAGES[:2], features(2))
    (path,) = filled.path.glob("*.npz")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"npz (can't be read as|has) features .*: delete it, and"):
        filled.read(IMAGES)


@pytest.mark.parametrize(
    "other",
    [
        dict(images=IMAGES[:2], features=features(2), facts=np.array("{}")),
        dict(images=IMAGES[:2], features=features(3), facts=None),
        dict(images=IMAGES[:2], features=features(2)[:, :1], facts=None),
        dict(images=IMAGES[:2], features=features(2).astype(np.float64), facts=None),
        dict(images=np.array([1, 2]), features=features(2), facts=None),
        dict(images=np.array(1), features=features(2), facts=None),
        dict(images=IMAGES[:0], features=features(0), facts=None),
        dict(features=features(2)),
        dict(images=np.array([b"x", None]), features=features(2), facts=None),
    ],
)
def test_a_file_of_another_network_or_kind_is_named(tmp_path, other):
    filled = cache(tmp_path)
    filled.add(IMAGES[:2], features(2))
    (path,) = filled.path.glob("*.npz")
    with np.load(path) as stored:
        facts = stored["facts"]
    arrays = {name: facts if value is None else value for name, value in other.items()}
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=r"npz (can't be read as|has) features .*: delete it, and"):
        filled.read(IMAGES)

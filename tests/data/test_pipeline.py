"""Batches: each example once per epoch, the same from any start step, in memory and streamed."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig
from mentormix_tf.data import augment, examples, pipeline, splits, writer
from mentormix_tf.data.sources.base import SourceSplit
from mentormix_tf.data.sources.images_on_demand import ImagesOnDemand
from tests.support.picture_files import encode, exif_block, png_with

PLAIN = augment.AUGMENTATIONS["none"]
# Images of one size are held in memory, decoded, if they fit; otherwise they are streamed.
TIERS = {"decoded": 2**30, "streamed": 0}


def take(batches, count):
    return list(itertools.islice(batches.as_numpy_iterator(), count))


@pytest.fixture(scope="module")
def rgb(tmp_path_factory):
    """60 color images of one size, with their position in the first pixel, in several shards."""
    return make_rgb(tmp_path_factory.mktemp("rgb"))


def make_rgb(root):
    from PIL import Image

    for i in range(60):
        folder = root / "images" / "train" / f"class{i % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.RandomState(i).randint(256, size=(20, 16, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
    return splits.prepare(
        DataConfig(dataset=f"folder:{root}/images/train", data_dir=str(root / "data"))
    )


@pytest.mark.parametrize("tier", TIERS)
def test_an_epoch_sees_each_example_at_most_once(digits, tier):
    batches = pipeline.train_batches(digits, 128, 0, PLAIN, digits.image_shape, memory=TIERS[tier])
    seen = [batch["image"].reshape(128, -1) for batch in take(batches, 22)]
    epochs = [np.concatenate(seen[:11]), np.concatenate(seen[11:])]
    for epoch in epochs:
        assert len(np.unique(epoch, axis=0)) == 11 * 128
    assert not np.array_equal(*epochs)


@pytest.mark.slow
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("start_step", [1, 11, 25])  # an epoch has 11 steps
def test_stream_from_a_step_is_the_tail(digits, tier, start_step):
    arguments = dict(
        augmentation=augment.AUGMENTATIONS["cifar_standard"],
        image_shape=digits.image_shape,
        memory=TIERS[tier],
    )
    whole = take(pipeline.train_batches(digits, 128, 7, **arguments), 28)
    tail = take(
        pipeline.train_batches(digits, 128, 7, start_step=start_step, **arguments), 28 - start_step
    )
    for one, other in zip(whole[start_step:], tail, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("memory", [2**30, 0], ids=["encoded", "streamed"])
@pytest.mark.parametrize("augmentation", ["none", "imagenet"])
def test_images_of_many_sizes(rgb, memory, augmentation):
    arguments = dict(
        augmentation=augment.AUGMENTATIONS[augmentation],
        image_shape=(12, 12, 3),
        memory=memory,
    )
    whole = take(pipeline.train_batches(rgb, 16, 1, **arguments), 7)
    tail = take(pipeline.train_batches(rgb, 16, 1, start_step=4, **arguments), 3)
    for one, other in zip(whole[4:], tail, strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])
    assert whole[0]["image"].shape == (16, 12, 12, 3)
    epoch = np.concatenate([batch["image"].reshape(16, -1) for batch in whole[:3]])
    assert len(np.unique(epoch, axis=0)) == 48


def test_another_seed_is_another_order(digits):
    first = [
        take(pipeline.train_batches(digits, 128, seed, PLAIN, (8, 8, 1)), 1)[0]["label"]
        for seed in (0, 1)
    ]
    assert not np.array_equal(*first)


@pytest.mark.parametrize("tier", TIERS)
def test_batches_have_static_shapes(digits, tier):
    batches = pipeline.train_batches(digits, 128, 0, PLAIN, (8, 8, 1), memory=TIERS[tier])
    spec = batches.element_spec
    assert spec["image"].shape == (128, 8, 8, 1) and spec["image"].dtype == "float32"
    assert set(spec) == {"image", "label", "true_label", "is_clean"}
    assert all(spec[name].shape == (128,) for name in set(spec) - {"image"})


@pytest.mark.parametrize("tier", TIERS)
def test_evaluation_sees_every_example_once_in_order(digits, tier):
    batches = pipeline.eval_batches(digits, "test", 100, PLAIN, (8, 8, 1), memory=TIERS[tier])
    batches = take(batches, 10)
    assert [len(batch["label"]) for batch in batches] == [100] * 4
    assert pipeline.num_eval_batches(digits, "test", 100) == 4
    weight = np.concatenate([batch["weight"] for batch in batches])
    np.testing.assert_array_equal(weight, [1.0] * 360 + [0.0] * 40)
    stored = list(digits.builder.as_dataset(split="test").as_numpy_iterator())
    for name in ("label", "image"):
        whole = np.concatenate([batch[name] for batch in batches])
        np.testing.assert_array_equal(whole[:360], [example[name] for example in stored])
        assert not whole[360:].any()


@pytest.mark.parametrize("tier", TIERS)
def test_images_are_resized_on_request(digits, tier):
    batches = pipeline.eval_batches(digits, "test", 10, PLAIN, (16, 16, 1), memory=TIERS[tier])
    [batch] = take(batches, 1)
    assert batch["image"].shape == (10, 16, 16, 1) and batch["image"].max() > 200


def test_batch_larger_than_the_data(digits):
    with pytest.raises(InputError, match=r"batch_size=2000 .* 1437 examples"):
        pipeline.train_batches(digits, 2000, 0, PLAIN, (8, 8, 1))


@pytest.mark.parametrize("tier", TIERS)
def test_ids_on_request(digits, tier):
    arguments = dict(memory=TIERS[tier], columns=(*examples.COLUMNS, "id"))
    [batch] = take(pipeline.train_batches(digits, 128, 0, PLAIN, (8, 8, 1), **arguments), 1)
    stored = {
        example["id"]: example
        for example in digits.builder.as_dataset(split="train").as_numpy_iterator()
    }
    for i, identifier in enumerate(batch["id"]):
        np.testing.assert_array_equal(batch["image"][i], stored[identifier]["image"])
        assert batch["label"][i] == stored[identifier]["label"]


@pytest.mark.parametrize("tier", TIERS)
def test_index_on_request(digits, tier):
    arguments = dict(memory=TIERS[tier], columns=(*examples.COLUMNS, "index"))
    batches = take(pipeline.train_batches(digits, 128, 0, PLAIN, (8, 8, 1), **arguments), 11)
    stored = list(digits.builder.as_dataset(split="train").as_numpy_iterator())
    index = np.concatenate([batch["index"] for batch in batches])
    assert len(set(index)) == 11 * 128
    for batch in batches:
        for i, position in enumerate(batch["index"]):
            np.testing.assert_array_equal(batch["image"][i], stored[position]["image"])


class TestHosts:
    """The batches of several hosts, put together."""

    def contexts(self, hosts, replicas_each=1):
        total = hosts * replicas_each
        return [tf.distribute.InputContext(hosts, host, total) for host in range(hosts)]

    @pytest.mark.parametrize("tier", TIERS)
    def test_an_epoch_has_each_example_at_most_once(self, digits, tier):
        columns = (*examples.COLUMNS, "index")
        seen = []
        for context in self.contexts(4):
            batches = pipeline.train_batches(
                digits, 128, 0, PLAIN, (8, 8, 1), 0, TIERS[tier], columns, context
            )
            batches = take(batches, 11)
            assert all(len(batch["index"]) == 32 for batch in batches)
            seen += [index for batch in batches for index in batch["index"]]
        assert len(seen) == len(set(seen)) == 11 * 128

    def test_in_memory_a_global_batch_is_the_same_on_any_number(self, digits):
        [whole] = take(pipeline.train_batches(digits, 128, 3, PLAIN, (8, 8, 1)), 1)
        parts = [
            take(pipeline.train_batches(digits, 128, 3, PLAIN, (8, 8, 1), context=context), 1)[0]
            for context in self.contexts(2)
        ]
        for name in whole:
            joined = np.concatenate([part[name] for part in parts])
            np.testing.assert_array_equal(whole[name], joined)

    def test_each_replica_of_a_host_has_its_part_in_turn(self, digits):
        [whole] = take(pipeline.train_batches(digits, 128, 3, PLAIN, (8, 8, 1)), 1)
        [context] = self.contexts(1, replicas_each=4)
        parts = pipeline.train_batches(digits, 128, 3, PLAIN, (8, 8, 1), context=context)
        assert parts.element_spec["image"].shape == (32, 8, 8, 1)
        joined = np.concatenate([part["label"] for part in take(parts, 4)])
        np.testing.assert_array_equal(whole["label"], joined)

    @pytest.mark.slow
    @pytest.mark.parametrize("tier", TIERS)
    @pytest.mark.parametrize("batch_size", [100, 360, 180])  # 360 examples, 90 per host
    def test_evaluation_sees_every_example_once(self, digits, tier, batch_size):
        columns = (*examples.COLUMNS, "index")
        seen = []
        for context in self.contexts(4, replicas_each=5):
            batches = pipeline.eval_batches(
                digits, "test", batch_size, PLAIN, (8, 8, 1), TIERS[tier], columns, context
            )
            batches = list(batches.as_numpy_iterator())
            assert len(batches) == 5 * pipeline.num_eval_batches(digits, "test", batch_size)
            for batch in batches:
                assert len(batch["weight"]) == batch_size // 20
                seen += list(batch["index"][batch["weight"] == 1])
        assert sorted(seen) == list(range(360))


def test_images_of_one_size_are_upright_too(tmp_path):
    """Encoded images that are held decoded: a data set of TFDS may have them."""
    pixels = np.random.RandomState(0).randint(256, size=(12, 12, 3))
    encoded = [encode(pixels), *(png_with(pixels, (b"eXIf", exif_block(v))) for v in (6, 3))]
    source = SourceSplit(["0", "1", "2"], np.zeros(3, int), ImagesOnDemand(encoded))
    config = writer.NoisyLabelsConfig(
        name="photos",
        settings={
            "dataset": "photos",
            "noise": "none",
            "noise_level": None,
            "noise_seed": 0,
            "validation_fraction": 0.0,
        },
        class_names=["a", "b"],
        image_shape=(12, 12, 3),
        image_format="png",
        plans={"train": writer.SplitPlan(source, source.labels, np.ones(3, bool))},
    )
    builder = writer.NoisyLabels(config=config, data_dir=tmp_path)
    builder.download_and_prepare()
    data = splits.load(builder.data_path)
    none = augment.AUGMENTATIONS["none"]
    held, streamed = (
        next(iter(pipeline.eval_batches(data, "train", 3, none, (12, 12, 3), memory=memory)))
        for memory in (10**6, 0)
    )
    np.testing.assert_array_equal(held["image"], streamed["image"])
    expected = {tuple(np.rot90(pixels, k=-k).flatten()) for k in (0, 1, 2)}
    assert {tuple(image.flatten()) for image in held["image"].numpy()} == expected

"""Runs whose head trains alone, on features that were computed once."""

import dataclasses
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import mentormix_tf as mm
from mentormix_tf import methods
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.data import augment, pipeline, splits
from mentormix_tf.errors import InputError
from mentormix_tf.networks import trained_layers
from mentormix_tf.training import cached_features
from mentormix_tf.training.run import run as train
from tests.support.picture_files import encode

OTHERS = [name for name in methods.METHODS if name != "mentormix"]
TRAINING = TrainingConfig(
    train_layers="head", learning_rate=0.05, train_steps=20, eval_every=10, batch_size=64
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A network for digits, as a file."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    stack = [layers.Input((8, 8, 1)), layers.Rescaling(1 / 16), layers.Conv2D(8, 3)]
    stack += [layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.5), layers.Flatten()]
    path = tmp_path_factory.mktemp("network") / "my.keras"
    keras.Sequential([*stack, layers.Dense(5)]).save(path)
    return str(path)


@pytest.fixture
def config(file, tmp_path):
    """A run on a data set of which no features are there yet."""
    training = dataclasses.replace(TRAINING, network=file)
    data = DataConfig(data_dir=str(tmp_path / "data"))
    return RunConfig(data=data, training=training, method="vanilla")


def changed(config, **training):
    return dataclasses.replace(config, training=dataclasses.replace(config.training, **training))


def prepared(config):
    """A run's split with features, its backbone and its head."""
    data = splits.prepare(config.data)
    network = mm.networks.build(config.training.network, data.image_shape, 10)
    backbone, head = trained_layers.cut(network)
    none = augment.AUGMENTATIONS[config.training.augmentation]
    return cached_features.with_features(data, config.training, backbone, none), network, head


@pytest.fixture
def computed(monkeypatch):
    """The number of images whose features each call of `_add` was given to compute."""
    counts, add = [], cached_features._add

    def counted(images, *rest):
        counts.append(len(images))
        return add(images, *rest)

    monkeypatch.setattr(cached_features, "_add", counted)
    return counts


@pytest.mark.slow
def test_cached_and_uncached_features_give_the_same_logits(config):
    data, network, head = prepared(changed(config, augmentation="none"))
    assert {name: each.shape for name, each in data.features.items()} == {
        "train": (1437, 1, 288),
        "test": (360, 1, 288),
    }
    none, shape = augment.AUGMENTATIONS["none"], data.image_shape
    images = dataclasses.replace(data, features=None)
    for split in ("train", "test", "train[:100]"):
        cached = pipeline.eval_batches(data, split, 64, augment.VIEWS, (288,))
        shown = pipeline.eval_batches(images, split, 64, none, shape)
        for one, other in zip(cached, shown, strict=True):
            real = other["weight"] == 1
            logits = network(other["image"], training=False)
            np.testing.assert_allclose(head(one["image"])[real], logits[real], atol=1e-5)
            for name in ("label", "true_label", "is_clean", "weight"):
                np.testing.assert_array_equal(one[name], other[name])
    steps = [
        next(iter(pipeline.train_batches(each, 64, 3, how, size)))
        for each, how, size in ((data, augment.VIEWS, (288,)), (images, none, shape))
    ]
    np.testing.assert_array_equal(steps[0]["label"], steps[1]["label"])
    logits = network(steps[1]["image"], training=False)
    np.testing.assert_allclose(head(steps[0]["image"]), logits, atol=1e-5)


@pytest.mark.slow
def test_features_are_computed_once(config, computed, tmp_path):
    """For all methods, seeds and noise levels of a data set, and for both splits."""
    prepared(changed(config, augmentation="none"))
    assert computed == [1437, 360]
    other = dataclasses.replace(config.data, noise_level=0.2, noise_seed=3, train_examples=500)
    train(dataclasses.replace(config, data=other, method="mixup"), OutputConfig(tmp_path / "run"))
    assert computed == [1437, 360]


def test_a_computation_that_is_killed_continues(config, monkeypatch, computed):
    config = changed(config, augmentation="none")
    monkeypatch.setattr(cached_features, "PART_BYTES", 300 * 288 * 4)
    write, written = cached_features._write, []

    def failing(images, parts, cache):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(write(images, parts, cache))
        return written[-1]

    monkeypatch.setattr(cached_features, "_write", failing)
    with pytest.raises(KeyboardInterrupt):
        prepared(config)
    monkeypatch.setattr(cached_features, "_write", write)
    data, network, head = prepared(config)
    assert written[0] >= 300 and computed == [1437, 1437 - sum(written), 360]
    shown = pipeline.eval_batches(
        dataclasses.replace(data, features=None),
        *("train", 1437, augment.AUGMENTATIONS["none"], data.image_shape),
    )
    logits = network(next(iter(shown))["image"], training=False)
    np.testing.assert_allclose(head(data.features["train"][:, 0]), logits, atol=1e-5)


def test_other_weights_and_preprocessing_have_other_features(config, computed, file, tmp_path):
    config = changed(config, augmentation="none")
    first = prepared(config)[0].features["test"]
    network = keras.models.load_model(file)
    network.layers[1].set_weights([2 * weight for weight in network.layers[1].get_weights()])
    network.save(tmp_path / "my.keras")  # of the same name
    again = prepared(changed(config, network=str(tmp_path / "my.keras")))[0].features["test"]
    assert computed == [1437, 360] * 2 and np.abs(first - again).max() > 0.1


@pytest.mark.slow
def test_views_are_drawn_by_step_and_evaluation_has_the_first(config):
    config = changed(config, augmentation="cifar_standard", feature_views=3)
    data, *_ = prepared(config)
    views = data.features["train"]
    assert views.shape == (1437, 3, 288)
    assert all(np.abs(views[:, i] - views[:, j]).max() > 0.1 for i, j in ((0, 1), (0, 2), (1, 2)))
    kept, *_ = prepared(changed(config, feature_views=1))
    np.testing.assert_allclose(kept.features["train"][:, 0], views[:, 0], atol=1e-6)

    def batches(start):
        settings = dict(start_step=start, columns=("image", "index"))
        made = pipeline.train_batches(data, 64, 5, augment.VIEWS, (288,), **settings)
        return list(made.take(30))

    drawn = batches(0)
    np.testing.assert_array_equal(drawn[23]["image"], batches(23)[0]["image"])
    chosen = [
        np.flatnonzero((views[i] == row).all(axis=1))[0]
        for batch in drawn
        for i, row in zip(batch["index"].numpy(), batch["image"].numpy(), strict=True)
    ]
    counts = np.bincount(chosen, minlength=3)
    assert len(chosen) == 1920 and (abs(counts - 640) < 5 * np.sqrt(640)).all()
    test = next(iter(pipeline.eval_batches(data, "test", 360, augment.VIEWS, (288,))))
    np.testing.assert_array_equal(test["image"], data.features["test"][:, 0])


@pytest.mark.parametrize(
    "method", ["mentormix", *(pytest.param(m, marks=pytest.mark.slow) for m in OTHERS)]
)
def test_a_run_is_the_whole_network(config, method, tmp_path):
    """What is evaluated, audited and exported takes images; the file is needed no more."""
    config = dataclasses.replace(changed(config, audit=True, ema_decay=0.5), method=method)
    keras.models.load_model(config.training.network).save(tmp_path / "copy.keras")
    config = changed(config, network=str(tmp_path / "copy.keras"))
    result = train(config, OutputConfig(tmp_path / "run"))
    original = keras.models.load_model(tmp_path / "copy.keras").get_weights()[:-2]
    os.remove(tmp_path / "copy.keras")
    run = mm.open_run(tmp_path / "run")
    found = run.network("last").get_weights()
    assert all(map(np.array_equal, original, found))
    accuracy = run.evaluate(weights="last").report["accuracy"]
    assert accuracy == pytest.approx(result["final_accuracy"])
    averaged = run.evaluate(weights="averaged", output_dir=tmp_path / "a").report["accuracy"]
    assert averaged == pytest.approx(result["averaged_final_accuracy"])
    report = run.audit()
    assert {"training_score", "feature_score"} <= set(report.columns)
    assert "feature_score" not in run.audit(features="none").columns
    exported = tf.saved_model.load(str(run.export(tmp_path / "export")))
    image = tf.constant([encode(np.full((8, 8), 9, np.uint8))])
    scores = exported.signatures["serving_default"](image)["scores"]
    logits = run.network()(np.full((1, 8, 8, 1), 9.0, np.float32))
    np.testing.assert_allclose(scores, tf.nn.softmax(logits), atol=1e-6)


@pytest.mark.slow
def test_a_run_in_parts_ends_as_the_whole(config, tmp_path):
    config = dataclasses.replace(config, method="mixup")
    config = changed(config, feature_views=2, augmentation="cifar_standard", schedule="constant")
    train(config, OutputConfig(tmp_path / "whole"))
    train(changed(config, train_steps=10), OutputConfig(tmp_path / "parts"))
    train(config, OutputConfig(tmp_path / "parts"))
    whole, parts = (
        mm.open_run(tmp_path / name).network().get_weights() for name in ("whole", "parts")
    )
    assert all(map(np.array_equal, whole, parts))


def test_a_run_from_before_features_were_cached_is_read(config, tmp_path):
    """Its flags.txt does not say feature_views, and its checkpoints have the whole network."""
    result = train(changed(config, feature_views=0), OutputConfig(tmp_path / "run"))
    flags, model = tmp_path / "run" / "flags.txt", tmp_path / "run" / "model.json"
    lines = flags.read_text().splitlines(keepends=True)
    flags.write_text("".join(line for line in lines if "feature_views" not in line))
    facts = json.loads(model.read_text())
    assert facts.pop("backbone_sha256") == ""
    model.write_text(json.dumps(facts))
    accuracy = mm.open_run(tmp_path / "run").evaluate().report["accuracy"]
    assert accuracy == pytest.approx(result["final_accuracy"])


def test_slow_networks_are_written_every_minute(config, computed, monkeypatch):
    monkeypatch.setattr(cached_features, "_SECONDS", -1)
    data, *_ = prepared(changed(config, augmentation="none"))
    again, *_ = prepared(changed(config, augmentation="none"))
    assert computed == [1437, 360]
    for split in ("train", "test"):
        np.testing.assert_array_equal(data.features[split], again.features[split])
    parts = list((data.path.parent.parent / "features").glob("*/*.npz"))
    assert len(parts) == 15 + 4  # batches of 96 images


@pytest.mark.slow
def test_a_network_whose_weights_have_changed_does_not_continue(config, file, tmp_path):
    path = str(tmp_path / "my.keras")
    network = keras.models.load_model(file)
    network.save(path)
    config = changed(config, network=path, schedule="constant")
    train(changed(config, train_steps=10), OutputConfig(tmp_path / "run"))
    network.layers[1].set_weights([2 * weight for weight in network.layers[1].get_weights()])
    network.save(path)
    with pytest.raises(InputError, match=r"holds a run on features of other weights of network="):
        train(config, OutputConfig(tmp_path / "run"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage", [lambda stored: stored.pop("0"), lambda stored: stored.update({"0": np.zeros(3)})]
)
def test_a_damaged_backbone_is_named(config, damage, tmp_path):
    train(config, OutputConfig(tmp_path / "run"))
    path = tmp_path / "run" / "backbone.npz"
    stored = dict(np.load(path))
    damage(stored)
    np.savez(path, **stored)
    with pytest.raises(InputError, match=r"backbone.npz can't be read as this run's weights"):
        mm.open_run(tmp_path / "run").network()


@pytest.mark.slow
def test_images_of_many_sizes(file, tmp_path, computed):
    """A changed image gets new features, and the others keep theirs."""
    random = np.random.RandomState(0)
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(20):
            pixels = random.randint(256, size=(20 + i, 30, 3)).astype(np.uint8)
            (tmp_path / "photos" / name / f"{i}.png").write_bytes(encode(pixels))
    keras.utils.set_random_seed(1)
    layers = keras.layers
    stack = [layers.Input((16, 16, 3)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()]
    keras.Sequential(stack).save(tmp_path / "color.keras")
    data = DataConfig(f"folder:{tmp_path}/photos", data_dir=str(tmp_path / "data"))
    settings = dict(network=str(tmp_path / "color.keras"), image_size=16, batch_size=16)
    training = dataclasses.replace(TRAINING, **settings, feature_views=2, learning_rate=1e-4)
    result = train(RunConfig(data, training, "vanilla"), OutputConfig(tmp_path / "run"))
    evaluated = mm.open_run(tmp_path / "run").evaluate().report
    assert evaluated["accuracy"] == pytest.approx(result["final_accuracy"])
    before = sum(computed)
    pixels = random.randint(256, size=(25, 25, 3)).astype(np.uint8)
    (tmp_path / "photos" / "a" / "3.png").write_bytes(encode(pixels))
    train(RunConfig(data, training, "vanilla"), OutputConfig(tmp_path / "again"))
    assert before == 40 and sum(computed) == 41


@pytest.mark.slow
def test_bfloat16_has_features_of_its_own(config, computed, tmp_path):
    train(config, OutputConfig(tmp_path / "one"))
    train(changed(config, precision="bfloat16"), OutputConfig(tmp_path / "other"))
    assert computed == [1437, 360] * 2
    result = json.loads((tmp_path / "other" / "result.json").read_text())
    accuracy = mm.open_run(tmp_path / "other").evaluate().report["accuracy"]
    assert accuracy == pytest.approx(result["final_accuracy"], abs=0.02)


def test_more_than_memory_is_refused(config, monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda name: 1000)
    with pytest.raises(InputError, match=r"feature_views=1: the features take 0.0 GB, too much"):
        prepared(changed(config, augmentation="none"))


def test_a_network_that_gives_nan_is_refused(config, file, tmp_path):
    network = keras.models.load_model(file)
    network.layers[1].set_weights([np.nan * weight for weight in network.layers[1].get_weights()])
    network.save(tmp_path / "nan.keras")
    with pytest.raises(InputError, match=r"features that are NaN or infinite"):
        prepared(changed(config, augmentation="none", network=str(tmp_path / "nan.keras")))


def test_a_network_that_does_not_end_with_a_dense_layer():
    layers = keras.layers
    stack = [layers.Input((8, 8, 1)), layers.Conv2D(10, 3), layers.GlobalAveragePooling2D()]
    with pytest.raises(InputError, match=r"does not end with a dense layer, .*=0"):
        trained_layers.cut(keras.Sequential(stack))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(feature_views=2), "feature_views=2 needs train_layers=head, instead of"),
        (dict(feature_views=-1, train_layers="head"), r"feature_views=-1 must lie in \[0, 1000\]"),
    ],
)
def test_settings_that_do_not_fit(settings, message):
    with pytest.raises(InputError, match=message):
        TrainingConfig(**settings)


@pytest.mark.parametrize(
    "method", ["mentormix", *(pytest.param(m, marks=pytest.mark.slow) for m in OTHERS)]
)
def test_frozen_layers_on_one_and_two_replicas(method, file, tmp_path):
    """The layers before the head stay as they are; two replicas compute the features together."""
    command = [sys.executable, "-m", "tests.training.two_replicas", method, file, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *lines, difference = done.stdout.splitlines()
    assert {"two frozen", "one frozen"} <= set(lines) and float(difference) < 1e-5

"""An exported SavedModel says what the run's network says, where there is only TensorFlow."""

import io
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from PIL import Image, ImageOps
from tensorflow.core.framework import tensor_pb2

from mentormix_tf import InputError
from mentormix_tf.data import splits
from mentormix_tf.metrics import classification
from mentormix_tf.runs import saved_run
from mentormix_tf.serving import saved_model, scoring
from tests.support import commands
from tests.support.picture_files import encode, exif_block, jpeg_with, png_with

CLIENT = pathlib.Path(commands.__file__).with_name("serving_client.py")


def encoded_images(made, split, count):
    """Images of a prepared split, as the files that they are stored as."""
    data = splits.prepare(made.data_config)
    skip = {"image": tfds.decode.SkipDecoding()}
    examples = data.builder.as_dataset(split=split, decoders=skip).take(count)
    return [example["image"].numpy() for example in examples]


def scores_elsewhere(export, images, folder):
    with tf.io.TFRecordWriter(str(folder / "images")) as writer:
        for image in images:
            writer.write(image)
    done = subprocess.run(
        [sys.executable, CLIENT, export, folder / "images", folder / "scores.npz"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return np.load(folder / "scores.npz")


def assert_telling(scores):
    """Scores of 0 and 1, or the same of every image, would be equal too easily."""
    assert np.ptp(scores[:, 0]) > 0.01 and np.median(scores.max(axis=1)) < 0.99


@pytest.mark.slow
def test_500_digits_where_there_is_only_tensorflow(digits_run, tmp_path):
    images = encoded_images(digits_run, "test", 360) + encoded_images(digits_run, "train", 140)
    pixels = np.stack([tf.io.decode_png(image) for image in images]).astype(np.float32)
    with digits_run.model.averaged():
        logits = digits_run.model.predict(pixels, verbose=0)
    expected = tf.nn.softmax(logits).numpy()
    assert_telling(expected)
    found = scores_elsewhere(digits_run.export, images, tmp_path)
    assert len(found.files) == 6
    for way in found.files:
        np.testing.assert_allclose(found[way], expected, atol=1e-5, err_msg=way)


def test_images_of_many_sizes_and_formats_as_in_evaluation(photos_run, tmp_path):
    images = encoded_images(photos_run, "test", 100)
    assert len({image[:2] for image in images}) == 3  # formats; GIFs are stored as PNGs
    found = scores_elsewhere(photos_run.export, images, tmp_path)
    expected = tf.nn.softmax(photos_run.trained.network(photos_run.images)).numpy()
    assert_telling(expected)
    for way in found.files:
        np.testing.assert_allclose(found[way], expected, atol=1e-5, err_msg=way)


@pytest.mark.parametrize("made", ["digits_run", "photos_run"])
def test_an_export_predicts_what_the_network_does(made, request):
    made = request.getfixturevalue(made)
    data = splits.prepare(made.data_config)
    loaded = saved_model.load(made.export)
    found = scoring.score(loaded.classify_encoded, loaded.class_names, data, "test", batch_size=7)
    predicted = tf.argmax(made.trained.network(made.images), axis=1)
    assert classification.accuracy(found.label, found.predicted) == np.mean(predicted == made.label)
    np.testing.assert_array_equal(found.label, made.label)
    np.testing.assert_array_equal(found.predicted, predicted)
    np.testing.assert_array_equal(found.rank == 0, found.predicted == found.label)


def test_true_labels_of_a_noisy_split(digits_run):
    data = splits.prepare(digits_run.data_config)
    loaded = saved_model.load(digits_run.export)
    noisy, true = (
        scoring.score(loaded.classify_encoded, loaded.class_names, data, "train", true_labels)
        for true_labels in (False, True)
    )
    np.testing.assert_array_equal(noisy.predicted, true.predicted)
    assert np.mean(noisy.label == true.label) == pytest.approx(0.6, abs=0.03)


def test_classes_are_matched_by_name(photos_run):
    data = splits.prepare(photos_run.data_config)
    assert data.class_names == ["blue", "red"]
    classify = saved_model.load(photos_run.export).classify_encoded

    def classify_with_green(images):
        blue, red = tf.unstack(classify(images)["scores"], axis=1)
        return {"scores": tf.stack([blue, tf.zeros_like(blue), red], axis=1)}

    found = scoring.score(classify_with_green, ["blue", "green", "red"], data, "test")
    np.testing.assert_array_equal(found.label, 2 * photos_run.label)
    everything = scoring.score(classify, data.class_names, data, "train+test")
    assert len(everything.label) == 40
    with pytest.raises(InputError, match="has the class red, which the network does not know"):
        scoring.score(classify, ["blue", "green"], data, "test")
    with pytest.raises(InputError, match=r"split=dev is not in .*: choose one of train, test"):
        scoring.score(classify, data.class_names, data, "dev")


def test_outputs_belong_together(digits_run):
    signature = tf.saved_model.load(str(digits_run.export)).signatures["serving_default"]
    found = {
        k: v.numpy() for k, v in signature(images=encoded_images(digits_run, "test", 9)).items()
    }
    names = np.array([b"%d" % i for i in range(10)])
    order = np.argsort(-found["scores"], axis=1)[:, :5]
    np.testing.assert_array_equal(found["top_classes"], names[order])
    np.testing.assert_array_equal(
        found["top_scores"], np.take_along_axis(found["scores"], order, axis=1)
    )
    np.testing.assert_array_equal(found["classes"], names[order[:, 0]])
    np.testing.assert_allclose(found["scores"].sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("made", ["digits_run", "photos_run"])
@pytest.mark.parametrize("kind", ["png", "jpeg", "bmp", "gif", "gray png", "16-bit png"])
def test_any_format_is_taken(made, kind, request):
    export = request.getfixturevalue(made).export
    pixels = np.full([30, 40, 3], 90)
    if kind == "16-bit png":
        encoded = tf.io.encode_png(np.full([30, 40, 1], 90 * 257, np.uint16)).numpy()
    elif kind == "gray png":
        encoded = encode(pixels[..., 0])
    else:
        encoded = encode(pixels, kind)
    signature = tf.saved_model.load(str(export)).signatures["serving_default"]
    found, expected = (signature(images=[e])["scores"] for e in (encoded, encode(pixels)))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_an_image_that_is_none_is_refused(digits_run):
    signature = tf.saved_model.load(str(digits_run.export)).signatures["serving_default"]
    with pytest.raises(tf.errors.InvalidArgumentError):
        signature(images=[b"hello"])


@pytest.mark.parametrize("made", ["digits_run", "photos_run"])
def test_photos_are_classified_upright(made, request):
    export = request.getfixturevalue(made).export
    signature = tf.saved_model.load(str(export)).signatures["serving_default"]
    pixels = np.random.RandomState(0).randint(256, size=(3, 5, 3)).repeat(16, 0).repeat(16, 1)
    for value in range(1, 9):
        png = png_with(pixels, (b"eXIf", exif_block(value)))
        jpeg = jpeg_with(pixels, (0xE1, b"Exif\0\0" + exif_block(value, ">")))
        upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(png))))
        scores = signature(images=[encode(upright), png, jpeg])["scores"].numpy()
        np.testing.assert_allclose(scores[1], scores[0], atol=1e-5)
        np.testing.assert_allclose(scores[2], scores[0], atol=0.02)


def test_headers_that_claim_too_much_are_refused(digits_run):
    signature = tf.saved_model.load(str(digits_run.export)).signatures["serving_default"]
    pixels = np.zeros((9, 9))
    bmp, png = encode(pixels, "bmp"), encode(pixels)
    size = b"\x00\x01\x00\x00"  # 65,536
    for encoded in (
        png[:16] + size + size + png[24:],
        bmp[:18] + size[::-1] + size[::-1] + bmp[26:],
        encode(pixels, "gif")[:6] + b"\xff" * 4 + encode(pixels, "gif")[10:],
        encode(pixels, "webp"),
        encode(pixels, "tiff"),
        b"",
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match="of 1 to 50000000 pixels"):
            signature(images=[png, encoded])


def prediction_log():
    """The message class, from field numbers written down here once more."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="prediction_log.proto",
        package="test",
        syntax="proto3",
        dependency=[tensor_pb2.DESCRIPTOR.name],
    )
    repeated = {"entry"}
    for message, fields in {
        "ModelSpec": [("name", 1, None), ("signature_name", 3, None)],
        "Entry": [("key", 1, None), ("value", 2, ".tensorflow.TensorProto")],
        "PredictRequest": [("model_spec", 1, ".test.ModelSpec"), ("entry", 2, ".test.Entry")],
        "PredictLog": [("request", 1, ".test.PredictRequest")],
        "PredictionLog": [("predict_log", 6, ".test.PredictLog")],
    }.items():
        described = file.message_type.add(name=message)
        for name, number, kind in fields:
            described.field.add(
                name=name,
                number=number,
                type=field.TYPE_MESSAGE if kind else field.TYPE_STRING,
                type_name=kind,
                label=field.LABEL_REPEATED if name in repeated else field.LABEL_OPTIONAL,
            )
    pool = descriptor_pool.Default()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("test.PredictionLog"))


def test_each_warm_up_request_runs(digits_run):
    signatures = tf.saved_model.load(str(digits_run.export)).signatures
    parse = prediction_log().FromString
    path = digits_run.export / "assets.extra" / "tf_serving_warmup_requests"
    called = []
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = parse(record)
        assert log.SerializeToString(deterministic=True) == record  # nothing that is not known
        request = log.predict_log.request
        [entry] = request.entry
        images = tf.make_ndarray(entry.value)
        scores = signatures[request.model_spec.signature_name](**{entry.key: tf.constant(images)})[
            "scores"
        ]
        assert scores.shape == (len(images), 10)
        called.append((request.model_spec.signature_name, len(images)))
    assert set(called) == {
        ("serving_default", 1),
        ("arrays", 1),
        ("serving_default", 8),
        ("arrays", 8),
    }


def test_versions_are_counted_and_never_written_over(digits_run, tmp_path):
    def export(version=0):
        return saved_model.export(digits_run.run, digits_run.trained, tmp_path / "served", version)

    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "notes").mkdir()  # the user's own
    assert export().name == "1"
    assert export(5).name == "5"
    before = (tmp_path / "served" / "5" / "saved_model.pb").read_bytes()
    with pytest.raises(InputError, match=r"version=5 is in .* already"):
        export(5)
    assert export().name == "6"
    assert (tmp_path / "served" / "5" / "saved_model.pb").read_bytes() == before
    assert {p.name for p in (tmp_path / "served").iterdir()} == {"notes", "1", "5", "6"}


def test_an_export_that_fails_leaves_nothing(digits_run, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saved_model.warmup, "write", fail)
    with pytest.raises(InputError, match=r"export_dir=.* can't be written: No space left"):
        saved_model.export(digits_run.run, digits_run.trained, tmp_path / "served")
    assert not list((tmp_path / "served").iterdir())


def test_assets_tell_what_it_is(digits_run):
    assets = digits_run.export / "assets"
    assert (assets / "class_names.txt").read_text().split() == [str(i) for i in range(10)]
    flags = (digits_run.path / "flags.txt").read_text()
    assert (assets / "flags.txt").read_text() == flags
    card = (assets / "model_card.md").read_text()
    for fact in ("mentormix", "symmetric, level 0.4", "gamma_p=0.6", "Weights: averaged", "8 x 8"):
        assert fact in card
    assert "Test accuracy (clean labels): 0.1250" in card
    sha256 = splits.prepare(digits_run.data_config).manifest["split_sha256"]
    assert f"SHA-256 of the split: {sha256}" in card


def test_what_is_no_export_is_said(digits_run, tmp_path):
    with pytest.raises(InputError, match=r"holds no saved_model.pb: name a version in it, 1"):
        saved_model.load(digits_run.export.parent)
    with pytest.raises(InputError, match=r"saved_model=.* holds no saved_model.pb\.$"):
        saved_model.load(tmp_path)
    tf.saved_model.save(tf.Module(), str(tmp_path / "other"))
    with pytest.raises(InputError, match="can't be read as a model that mentormix_tf exported"):
        saved_model.load(tmp_path / "other")


@pytest.mark.slow
def test_two_replicas_in_bfloat16_become_one_device_in_float32(tmp_path, data_dir):
    flags = ("--strategy=mirrored", "--num_virtual_devices=2", "--precision=bfloat16")
    short = ("--train_steps=60", "--eval_every=60", f"--data_dir={data_dir}", "--model_dir=run")
    ((status, _, errors),) = commands.run(["train", *flags, *short], cwd=tmp_path)
    assert status == 0, errors
    run = saved_run.read(tmp_path / "run")
    export = saved_model.export(run, saved_run.load_network(run), tmp_path / "export")
    loaded = saved_model.load(export)
    data = splits.prepare(run.config.data)
    found = scoring.score(loaded.classify_encoded, loaded.class_names, data, "test")
    accuracy = classification.accuracy(found.label, found.predicted)
    assert run.result["precision"] == "bfloat16" and run.result["final_accuracy"] > 0.5
    assert accuracy == pytest.approx(run.result["final_accuracy"], abs=0.01)

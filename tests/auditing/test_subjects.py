"""Audits of Keras models and of runs."""

import io
import shutil

import keras
import numpy as np
import pytest
import sklearn.metrics

import mentormix_tf as mm
from mentormix_tf import InputError
from mentormix_tf.config import DataConfig, OutputConfig, RunConfig, TrainingConfig
from mentormix_tf.data import examples
from mentormix_tf.inference import survey
from mentormix_tf.training.run import run as train

CLASSES = 5


@pytest.fixture(scope="module")
def noisy():
    """Images whose class is easy to see, and labels of which 30 % are wrong."""
    random = np.random.RandomState(0)
    true = random.randint(CLASSES, size=1000)
    images = 0.3 * random.normal(size=(1000, 6, 6, 1))
    images[np.arange(1000), true, true, 0] += 3.0
    wrong = random.uniform(size=1000) < 0.3
    labels = np.where(wrong, (true + random.randint(1, CLASSES, size=1000)) % CLASSES, true)
    return images.astype(np.float32), labels, true


def network():
    keras.utils.set_random_seed(1)
    stack = [keras.layers.Input((6, 6, 1)), keras.layers.Conv2D(8, 3, activation="relu")]
    return keras.Sequential([*stack, keras.layers.Flatten(), keras.layers.Dense(CLASSES)])


@pytest.fixture(scope="module")
def report(noisy):
    """The five lines of a user's own program."""
    images, labels, _ = noisy
    model = mm.MentorMix(network(), CLASSES, gamma_p="auto", audit_examples=len(images))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    columns = {"image": images, "label": labels, "index": np.arange(len(images))}
    model.fit(columns, batch_size=50, epochs=10, verbose=0)
    return mm.audit(model, images, labels, class_names=["a", "b", "c", "d", "e"])


@pytest.mark.slow
def test_wrong_labels_are_found(report, noisy):
    _, labels, true = noisy
    wrong = labels != true
    assert sklearn.metrics.roc_auc_score(wrong, -report.label_quality) > 0.99
    assert sklearn.metrics.f1_score(wrong, report.is_label_issue) > 0.95
    assert (report.predicted[wrong] == true[wrong]).mean() > 0.97
    low, high = report.noise_rate.interval
    assert low < wrong.mean() < high and high - low < 0.1
    assert wrong[report.order()[:100]].all()
    assert "training_score" in report.columns and "feature_score" not in report.columns
    assert not report.notes


def test_rates_and_confusions(report, noisy):
    _, labels, true = noisy
    rate = report.noise_rate
    expected = [(true[labels == c] != c).mean() for c in range(CLASSES)]
    np.testing.assert_allclose(rate.class_rates, expected, atol=0.03)
    assert (rate.class_intervals[:, 0] <= rate.class_rates).all()
    assert (rate.class_rates <= rate.class_intervals[:, 1]).all()
    joint = np.zeros((CLASSES, CLASSES))
    np.add.at(joint, (labels, true), 1 / len(labels))
    np.testing.assert_allclose(rate.joint, joint, atol=0.01)
    assert report.confusions().sum() == report.is_label_issue.sum()
    assert report.confusions().trace() == 0


def test_any_keras_model_is_surveyed(noisy):
    images, labels, true = noisy
    model = keras.Sequential([*network().layers, keras.layers.Softmax()])
    model.compile(keras.optimizers.SGD(0.05), loss="sparse_categorical_crossentropy")
    model.fit(images, labels, epochs=3, verbose=0)
    report = mm.audit(model, images, np.eye(CLASSES)[labels])  # one-hot labels
    assert {"self_confidence", "feature_score"} <= set(report.columns)
    assert sklearn.metrics.roc_auc_score(labels != true, -report.label_quality) > 0.95
    own = model.predict(images, verbose=0)[np.arange(1000), labels]
    np.testing.assert_allclose(report.columns["self_confidence"], own, rtol=1e-4)
    assert "--audit" in report.notes[0] and report.class_names == ["0", "1", "2", "3", "4"]
    alone = mm.audit(model, images, labels, features="none")
    np.testing.assert_allclose(alone.label_quality, own, rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(labels=[0, 1]), "1000 images and 2 labels"),
        (dict(labels=np.full(1000, 5)), r"labels\[0\]=5 is no class: .* from 0 to 4"),
        (dict(labels=np.full(1000, -1)), r"labels\[0\]=-1 is no class"),
        (dict(class_names=["a", "b"]), "class_names has 2 names: give 5 different ones"),
        (dict(ids=["same"] * 1000), "ids has 1 different names"),
        (dict(features="last"), "features=last is unknown"),
    ],
)
def test_what_is_refused(noisy, changes, message):
    images, labels, _ = noisy
    arguments = {"images": images, "labels": labels, **changes}
    with pytest.raises(InputError, match=message):
        mm.audit(network(), **arguments)


def test_a_network_that_diverged(noisy):
    images, labels, _ = noisy
    model = network()
    model.layers[-1].bias.assign([np.nan] * CLASSES)
    with pytest.raises(InputError, match="gives values that are NaN or infinite"):
        mm.audit(model, images, labels)


@pytest.mark.slow
def test_a_method_that_memorizes(noisy):
    images, labels, true = noisy
    stack = [keras.layers.Input((6, 6, 1)), keras.layers.Flatten()]
    stack += [keras.layers.Dense(1000, activation="relu"), keras.layers.Dense(CLASSES)]
    model = mm.Vanilla(keras.Sequential(stack), CLASSES, audit_examples=1000)
    model.compile(keras.optimizers.Adam(1e-3))
    columns = {"image": images, "label": labels, "index": np.arange(1000)}
    model.fit(columns, batch_size=50, epochs=100, verbose=0)
    report = mm.audit(model, images, labels)
    assert "Training has memorized" in report.notes[0]
    assert sklearn.metrics.roc_auc_score(labels != true, -report.label_quality) > 0.95


def test_a_model_that_recorded_another_set(noisy):
    images, labels, _ = noisy
    model = mm.MentorMix(network(), CLASSES, audit_examples=10)
    with pytest.raises(InputError, match="audit_examples=10, but there are 1000 examples"):
        mm.audit(model, images, labels)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, data_dir):
    """A run that recorded its examples, and one that did not."""
    folders = {}
    for audit in (True, False):
        folders[audit] = tmp_path_factory.mktemp("run")
        config = RunConfig(
            data=DataConfig(data_dir=data_dir),
            training=TrainingConfig(train_steps=100, eval_every=100, audit=audit),
            hyperparameters={"gamma_p": "auto"},
        )
        train(config, OutputConfig(str(folders[audit])))
    return folders


def truth(data_dir):
    data = mm.load_split("digits", data_dir=data_dir)
    stored = [
        (e["id"].decode(), int(e["true_label"]))
        for e in examples.stored(data, "train").as_numpy_iterator()
    ]
    return data, dict(stored)


@pytest.mark.slow
@pytest.mark.parametrize("audit", [True, False])
def test_a_run(runs, data_dir, audit):
    report = mm.open_run(runs[audit]).audit()
    data, true = truth(data_dir)
    wrong = np.array([true[i] for i in report.ids]) != report.given
    assert wrong.mean() == pytest.approx(data.manifest["realized_noise_rate"])
    assert sklearn.metrics.roc_auc_score(wrong, -report.label_quality) > (0.97 if audit else 0.9)
    assert report.split_sha256 == data.manifest["split_sha256"]
    assert ("training_score" in report.columns) is audit
    assert bool(report.notes) is not audit


def test_a_run_with_features_besides(runs):
    report = mm.open_run(runs[True]).audit("penultimate")
    assert {"training_score", "self_confidence", "feature_score"} <= set(report.columns)
    scores = [report.columns[name] for name in ("training_score", "feature_score")]
    np.testing.assert_allclose(report.label_quality, np.mean(scores, axis=0))


def test_statistics_of_another_split(runs, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("flags.txt", "model.json"):
        (copy / name).write_bytes((runs[True] / name).read_bytes())
    for contents, message in [
        (b"PK", "examples.npz can't be read"),
        (b"", "examples.npz can't be read"),
        (_npz(split_sha256="0" * 64), "statistics of another split .00000000 instead of"),
        (_npz(runs[True], margin=np.zeros((3, 2))), r"no margin of shape \(1437, 2\)"),
        (_npz(runs[True], v=np.array(["a"])), "no v of shape"),
        (_npz(runs[True], count=np.array([{}], object)), "examples.npz can't be read"),
        (_npz(runs[True], probabilities=np.zeros((1437, 2, 3))), "no probabilities of shape"),
        (_npz(runs[True], rival=np.full(1437, 10)), "a rival that is no class"),
        (_npz(runs[True], rival=np.full(1437, -1)), "a rival that is no class"),
        (_npz(runs[True], more=np.zeros(10**7)), "can't be read: its arrays have"),
    ]:
        (copy / "examples.npz").write_bytes(contents)
        with pytest.raises(InputError, match=message):
            mm.open_run(copy).audit()


def test_a_run_that_is_not_finished(runs, tmp_path):
    shutil.copytree(runs[True], tmp_path / "run")
    for name in ("result.json", "examples.npz"):
        (tmp_path / "run" / name).unlink()
    report = mm.open_run(tmp_path / "run").audit()
    assert "The run is not finished" in report.notes[0] and "feature_score" in report.columns


def test_examples_that_were_hardly_seen(noisy):
    """A training of six steps shows some examples late only, and some never."""
    images, labels, _ = noisy
    model = mm.MentorMix(network(), CLASSES, gamma_p="auto", audit_examples=1000)
    model.compile(keras.optimizers.SGD(0.1))
    columns = {"image": images[:600], "label": labels[:600], "index": np.arange(600)}
    model.fit(columns, batch_size=100, epochs=1, verbose=0)
    report = mm.audit(model, images, labels)
    assert report.notes[0].startswith("400 examples were never trained on")
    assert report.notes[1].startswith("300 examples were not seen in the first half")
    unseen = np.arange(1000) >= 600
    assert (report.label_quality[unseen] == 0.5).all()
    assert (report.predicted[unseen] == labels[unseen]).all()
    assert not report.is_label_issue[unseen].any()
    surveyed = mm.audit(model, images, labels, features="penultimate")
    alone = ["self_confidence", "feature_score"], ["training_score", "feature_score"]
    for part, names in zip((unseen, ~unseen), alone, strict=True):
        expected = np.mean([surveyed.columns[name][part] for name in names], axis=0)
        np.testing.assert_allclose(surveyed.label_quality[part], expected)


def test_a_survey_that_does_not_fit_in_memory(noisy, monkeypatch):
    images, labels, _ = noisy
    monkeypatch.setattr(survey, "_MOST_PROBABILITIES", 4999)
    with pytest.raises(InputError, match="1,000 examples of 5 classes does not fit in memory"):
        mm.audit(network(), images, labels)


def _npz(folder=None, **changes):
    found = dict(np.load(folder / "examples.npz")) if folder else {}
    packed = io.BytesIO()
    np.savez(packed, **{**found, **changes})
    return packed.getvalue()

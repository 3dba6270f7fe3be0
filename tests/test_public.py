"""The public face: what `import mentormix_tf as mm` offers, used as its docs use it."""

import inspect

import keras
import numpy as np
import pytest

import mentormix_tf as mm


def test_all_that_is_public_is_there_and_documented():
    assert set(mm.__all__) <= set(dir(mm))
    for name in mm.__all__:
        assert name == "__version__" or inspect.getdoc(getattr(mm, name))
    with pytest.raises(AttributeError, match="has no attribute 'mentormax'"):
        mm.mentormax  # noqa: B018


@pytest.mark.parametrize("module", ["methods", "mixing", "networks", "noise"])
def test_what_modules_export_is_there_and_documented(module):
    module = getattr(mm, module)
    for name in module.__all__:
        value = getattr(module, name)
        assert not callable(value) or inspect.getdoc(value), name


def test_a_split_trains_and_measures_a_model(data_dir):
    split = mm.load_split(noise="symmetric", noise_level=0.2, data_dir=data_dir)
    assert split.manifest["realized_noise_rate"] == pytest.approx(0.2, abs=1e-3)
    assert split.class_names == [str(digit) for digit in range(10)]
    network = mm.networks.build("small_cnn", split.image_shape, len(split.class_names))
    model = mm.methods.get("gce")(network, num_classes=10)
    model.compile(keras.optimizers.SGD(0.1), weighted_metrics=["accuracy"])
    steps = split.steps_per_epoch(128)
    assert steps == 1437 // 128
    model.fit(split.batches("train", 128), steps_per_epoch=steps, verbose=0)
    _, accuracy = model.evaluate(split.batches("test", 100), verbose=0)
    # The last batch is filled up, which must not count.
    images = np.concatenate([b["image"] for b in split.batches("test", 100)])
    labels = np.concatenate([b["label"] for b in split.batches("test", 100)])
    assert len(images) == 400
    predicted = model.predict(images, verbose=0).argmax(axis=1)
    assert accuracy == pytest.approx((predicted == labels)[:360].mean(), abs=1e-6)


def test_a_split_that_is_not_there(data_dir):
    split = mm.load_split(data_dir=data_dir)
    with pytest.raises(mm.InputError, match=r"split=validation is not in .*: choose one of"):
        split.batches("validation", 10)
    with pytest.raises(mm.InputError, match="dataset=letters is unknown"):
        mm.load_split("letters", data_dir=data_dir)
    with pytest.raises(TypeError, match="noize"):
        mm.load_split(noize="symmetric", data_dir=data_dir)


@pytest.mark.slow
def test_a_run_is_opened_evaluated_and_exported(digits_run, photos, tmp_path):
    run = mm.open_run(str(digits_run.path))
    assert run.config == digits_run.run.config and run.class_names == digits_run.run.class_names
    assert run.metrics()[-1]["step"] == "20"
    np.testing.assert_array_equal(
        run.network().predict(digits_run.images, verbose=0),
        digits_run.trained.network.predict(digits_run.images, verbose=0),
    )
    evaluated = run.evaluate(output_dir=tmp_path / "evaluation")
    predicted = digits_run.trained.network.predict(digits_run.images, verbose=0).argmax(axis=1)
    assert evaluated.report["accuracy"] == pytest.approx((predicted == digits_run.label).mean())
    on_others = run.evaluate(noise="uniform", output_dir=tmp_path / "other")
    assert "uniform" in on_others.report["data"]
    rows = list(run.predict(str(photos / "red"), top_k=2))
    assert len(rows) == 20 and all(len(row.top) == 2 for row in rows)
    assert (run.export(tmp_path / "served") / "saved_model.pb").exists()
    with pytest.raises(mm.InputError, match="does not exist"):
        mm.open_run(tmp_path / "gone")

"""What every method must do, whatever its loss."""

import importlib.util
import pathlib
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError, methods
from mentormix_tf.data import noise
from mentormix_tf.mentors.mentornet_pd import SHIPPED
from mentormix_tf.methods import hyperparameters
from mentormix_tf.methods.batch import Batch
from mentormix_tf.training.checkpoints import Checkpoints
from tests.support import oracles

ROOT = pathlib.Path(__file__).parent.parent.parent
MATRIX = pathlib.Path(__file__).parent / "transition_matrix.csv"

# Fewer losses for the mixture, for speed.
SMALL = {"dynamic_bootstrap": dict(loss_memory=64)}

OTHER_HYPERPARAMETERS = {
    "weight_decay": dict(l2=0.02),
    "dropout": dict(dropout_rate=0.25),
    "s_model": dict(expected_noise=0.3, transition_matrix=str(MATRIX)),
    "bootstrap": dict(bootstrap_mode="hard", beta=0.7),
    "mixup": dict(alpha=0.4),
    "mentornet": dict(
        gamma_p=0.4,
        burn_in=0.2,
        loss_ema_decay=0.7,
        percentile_interpolation="linear",
        mentor="mentornet_pd",
        mentornet_checkpoint=str(SHIPPED),
    ),
    "gce": dict(q=0.5, truncation=0.2, burn_in=0.1),
    "dynamic_bootstrap": dict(alpha=2.0, burn_in=0.1, class_balance=0.5, loss_memory=64),
    "data_parameters": dict(
        temperatures="both", temperature_learning_rate=0.3, temperature_decay=0.01
    ),
    "o2u": dict(burn_in=0.2, cycling=0.5, cycles=3, drop_rate=0.1),
    "elr": dict(beta=0.5, elr_lambda=1.0),
    "forward": dict(transition_matrix=str(MATRIX), expected_noise=0.3),
    "sce": dict(alpha=1.0, beta=0.5),
    "nce_rce": dict(alpha=5.0, beta=0.5),
    "nce_mae": dict(alpha=5.0, beta=2.0),
    "co_teaching": dict(forget_rate=0.2, forget_ramp=0.5),
}

BAD_HYPERPARAMETERS = [
    ("weight_decay", "l2", -1.0),
    ("weight_decay", "l2", float("nan")),
    ("dropout", "dropout_rate", 1.0),
    ("s_model", "expected_noise", 0.0),
    ("s_model", "expected_noise", float("nan")),
    ("bootstrap", "bootstrap_mode", "medium"),
    ("bootstrap", "beta", 1.5),
    ("mixup", "alpha", float("inf")),
    ("mentornet", "gamma_p", 1.5),
    ("mentornet", "mentor", "tormentor"),
    ("mentornet", "mentornet_checkpoint", "weights.npz"),
    ("mentormix", "mentor", "tormentor"),
    ("mentormix", "mentornet_checkpoint", "weights.npz"),
    ("gce", "q", 0.0),
    ("gce", "truncation", 1.0),
    ("gce", "burn_in", -0.1),
    ("dynamic_bootstrap", "alpha", float("nan")),
    ("dynamic_bootstrap", "burn_in", 1.1),
    ("dynamic_bootstrap", "class_balance", -1.0),
    ("dynamic_bootstrap", "loss_memory", 1),
    ("data_parameters", "temperatures", "neither"),
    ("data_parameters", "temperature_learning_rate", -0.1),
    ("data_parameters", "temperature_decay", float("nan")),
    ("o2u", "burn_in", 0.0),
    ("o2u", "cycling", 0.9),
    ("o2u", "cycles", 0),
    ("o2u", "drop_rate", 1.0),
    ("elr", "beta", 1.0),
    ("elr", "elr_lambda", float("nan")),
    ("sce", "alpha", -1.0),
    ("sce", "beta", float("inf")),
    ("nce_rce", "alpha", float("nan")),
    ("nce_rce", "beta", -1.0),
    ("nce_mae", "alpha", float("inf")),
    ("nce_mae", "beta", -0.5),
    ("forward", "transition_matrix", "none.csv"),
    ("forward", "transition_matrix", "weights.npz"),
    ("forward", "expected_noise", 1.0),
    ("co_teaching", "forget_rate", 1.0),
    ("co_teaching", "forget_rate", float("nan")),
    ("co_teaching", "forget_ramp", -0.1),
]


@pytest.fixture
def batches(data):
    images, labels = data
    columns = {"image": images, "label": labels, "index": np.arange(64)}
    return tf.data.Dataset.from_tensor_slices(columns).batch(16)


def build(name, jit_compile=False, **hyperparameters):
    """A compiled method around a small network, with the same initial weights each time."""
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Input((6, 6, 1)), keras.layers.Flatten()]
    layers += [keras.layers.Dense(16, activation="relu"), keras.layers.Dense(5)]
    model = methods.build(
        name, keras.Sequential(layers), 5, 64, **{**SMALL.get(name, {}), **hyperparameters}
    )
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    model.compile(optimizer, metrics=["accuracy"], jit_compile=jit_compile)
    return model


def hyperparameters_of(name):
    """The hyperparameters that a method's class has, which `METHODS` must agree with."""
    found = hyperparameters.names(methods.get(name))
    assert found == [field.name for field in methods.hyperparameters_of(name)]
    return set(found)


@pytest.mark.parametrize("name", methods.METHODS)
def test_learns_and_can_be_saved_and_loaded(name, batches, tmp_path):
    chosen = OTHER_HYPERPARAMETERS.get(name, {})
    assert name == "mentormix" or chosen.keys() == hyperparameters_of(name)
    model = build(name, **chosen)
    history = model.fit(batches, epochs=12, verbose=0, validation_data=batches).history
    assert history["val_accuracy"][-1] > 0.6  # of 5 classes
    assert history["val_loss"][-1] < history["val_loss"][0]
    assert model.evaluate(batches, verbose=0, return_dict=True).keys() == {"loss", "accuracy"}

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    config = loaded.get_config()
    assert {**config, "network": 0} == {**model.get_config(), "network": 0}
    assert {key: config[key] for key in chosen} == chosen
    for variable, other in zip(loaded.variables, model.variables, strict=True):
        if "seed_generator" not in variable.path:  # Keras does not save Dropout's
            np.testing.assert_array_equal(variable, other)
    predictions = model.predict(batches, verbose=0)
    np.testing.assert_array_equal(loaded.predict(batches, verbose=0), predictions)
    loaded.fit(batches, epochs=1, verbose=0)

    model.network.save(tmp_path / "network.keras")
    network = keras.models.load_model(tmp_path / "network.keras")
    np.testing.assert_allclose(
        network.predict(batches.map(lambda batch: batch["image"]), verbose=0), predictions
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", methods.METHODS)
def test_resumes_from_a_checkpoint_with_the_same_losses(name, batches, tmp_path):
    def built():
        model = build(name, ema_decay=0.9)
        model.build_for(batches.element_spec)
        return model, Checkpoints(model, tmp_path, keep=1)

    model, checkpoints = built()
    save = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: epoch or checkpoints.save(4, {"epoch": epoch})
    )
    losses = model.fit(batches, epochs=2, verbose=0, callbacks=[save]).history["loss"]
    other, checkpoints = built()
    assert checkpoints.restore() == {"epoch": 0}
    assert other.fit(batches, epochs=2, initial_epoch=1, verbose=0).history["loss"] == losses[1:]
    for one, two in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(one, two, one.path)
    assert checkpoints.steps() == [4]


@pytest.mark.slow
@pytest.mark.parametrize("name", methods.METHODS)
def test_jit_gives_the_same_losses(name, batches):
    # Keras's dropout masks are not the same under XLA.
    chosen = dict(dropout_rate=0.0) if name == "dropout" else {}
    losses = []
    for jit_compile in (False, True):
        model = build(name, jit_compile, **chosen)
        losses.append(model.fit(batches, epochs=4, verbose=0).history["loss"])
        assert model.jit_compile is jit_compile
    np.testing.assert_allclose(*losses, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", methods.METHODS)
def test_one_loss_for_each_example(name):
    model = build(name)
    batch = Batch(tf.zeros([3, 6, 6, 1]), tf.eye(5)[:3], index=tf.range(3, dtype=tf.int64))
    losses = model.example_losses(batch, tf.random.normal([3, 5]))
    assert losses.shape == (3,) and losses.dtype == tf.float32
    assert model.example_weights(batch, losses).shape == (3,)


@pytest.mark.parametrize("name", methods.METHODS)
def test_the_first_pass_is_that_of_training(name, batches):
    model = build(name, **(dict(dropout_rate=0.0) if name == "dropout" else {}))
    images = next(iter(batches))["image"]
    logits = model.network(images, training=True)
    np.testing.assert_allclose(model.first_pass_logits(images), logits, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", methods.METHODS)
def test_evaluation_reports_the_cross_entropy_whatever_the_method_learns_from(name, batches):
    model = build(name, **OTHER_HYPERPARAMETERS.get(name, {}))
    model.fit(batches, epochs=2, verbose=0)
    data = next(iter(batches.unbatch().batch(64)))
    logits = model.network(data["image"], training=False).numpy().astype(np.float64)
    expected = oracles.cross_entropy(np.eye(5)[data["label"]], logits).mean()
    expected += float(model.regularization())
    np.testing.assert_allclose(model.evaluate(batches, verbose=0)[0], expected, rtol=1e-5)


@pytest.mark.parametrize("name", methods.METHODS)
def test_foreign_hyperparameters_are_refused(name):
    with pytest.raises(InputError, match=rf"gamma_q can't be set: {name} has"):
        methods.resolve(name, {"gamma_q": 0.5})
    assert methods.resolve(name, {}).keys() == hyperparameters_of(name)


@pytest.mark.parametrize(("name", "hyperparameter", "value"), BAD_HYPERPARAMETERS)
def test_bad_values_are_refused(name, hyperparameter, value):
    with pytest.raises(InputError, match=f"{hyperparameter}={value}".replace(".", r"\.")):
        methods.resolve(name, {hyperparameter: value})


@pytest.mark.parametrize("name", ["data_parameters", "o2u", "elr"])
def test_methods_that_need_an_index_say_so(name, data):
    with pytest.raises(InputError, match="num_examples=0"):
        methods.build(name, keras.Sequential([keras.layers.Dense(2)]), 2, 0)
    with pytest.raises(InputError, match="keys image, label and index"):
        build(name).fit(*data, verbose=0)


def test_saved_models_know_gce_by_its_former_name():
    name = "mentormix_tf>GeneralizedCrossEntropy"
    assert keras.saving.get_registered_object(name) is methods.GCE
    assert keras.saving.get_registered_name(methods.GCE) == name


def test_dropout_needs_a_dense_layer():
    layers = [keras.layers.Input((2, 2, 1)), keras.layers.Flatten()]
    with pytest.raises(InputError, match="no last dense layer"):
        methods.build("dropout", keras.Sequential(layers), 4, 0)


@pytest.mark.parametrize("name", ["mentornet", "mentormix"])
def test_a_saved_model_loads_without_its_checkpoint(name, tmp_path):
    checkpoint = tmp_path / "weights.npz"
    with np.load(SHIPPED) as arrays:
        np.savez(checkpoint, **{key: 2 * arrays[key] for key in arrays})
    model = build(name, mentor="mentornet_pd", mentornet_checkpoint=str(checkpoint))
    model.save(tmp_path / "model.keras")
    checkpoint.unlink()
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for weight, other in zip(loaded.mentor.weights, model.mentor.weights, strict=True):
        np.testing.assert_array_equal(weight, other)


@pytest.mark.parametrize("name", ["moved.csv", "oracle"])
def test_a_saved_model_loads_without_its_transition_matrix(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(MATRIX, "moved.csv")
    model = build("forward", transition_matrix=name)
    if name == "oracle":
        model.set_transition_matrix(noise.read_matrix(MATRIX, 5))
    model.save("model.keras")
    pathlib.Path("moved.csv").unlink()
    loaded = keras.models.load_model("model.keras")
    np.testing.assert_allclose(loaded.transitions, noise.read_matrix(MATRIX, 5), rtol=1e-6)
    loaded.begin_training(10)


@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=pytest.mark.slow if part else []) for part in range(3)]
)
def test_two_replicas_train_as_one(part):
    names = [*methods.METHODS, "vanilla+sam", "mentormix+sam"][part::3]
    command = [sys.executable, "-m", "tests.distribution.two_replicas", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == names, done.stderr


@pytest.fixture
def documented(tmp_path, monkeypatch):
    """Adds the method of docs/methods.md as described there; its name and its hyperparameters."""
    text = (ROOT / "docs" / "methods.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    [(name, place)] = re.findall(r'^"(\w+)": "(\w+\.\w+)",$', text, re.MULTILINE)
    stem = place.partition(".")[0]
    assert f"`mentormix_tf/methods/{stem}.py`" in text
    (tmp_path / f"{stem}.py").write_text(code)
    spec = importlib.util.spec_from_file_location(
        f"mentormix_tf.methods.{stem}", tmp_path / f"{stem}.py"
    )
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(hyperparameters, "FOLDER", tmp_path)
    hyperparameters.declared.cache_clear()
    monkeypatch.setitem(methods.METHODS, name, place)
    yield name, methods.resolve(name, {})
    hyperparameters.declared.cache_clear()


def test_the_example_in_the_docs_works(documented, batches):
    name, chosen = documented
    assert chosen and chosen.keys() == hyperparameters_of(name)
    weights = [w.copy() for w in build(name).network.get_weights()]
    model = build(name, **chosen)
    losses = model.fit(batches.take(3), verbose=0).history["loss"]
    assert np.isfinite(losses[0])
    assert not np.allclose(weights[0], model.network.get_weights()[0])
    [hyperparameter] = chosen
    assert all(field.help for field in methods.hyperparameters_of(name))
    with pytest.raises(InputError, match=f"{hyperparameter}=-1"):
        methods.resolve(name, {hyperparameter: -1.0})

"""What a Keras user does with a method: fit, evaluate, predict, save, load, callbacks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError, MentorMix, Vanilla, methods
from mentormix_tf.mentors.mentornet_pd import SHIPPED
from tests.support import oracles

pytestmark = pytest.mark.filterwarnings("ignore:Your input ran out of data")


# test_conformance.py tests the other methods.
@pytest.fixture(params=[Vanilla, MentorMix])
def model(request, network):
    model = request.param(network, num_classes=5)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), metrics=["accuracy"])
    return model


def as_dicts(images, labels):
    return tf.data.Dataset.from_tensor_slices({"image": images, "label": labels}).batch(16)


def test_learns(model, data):
    history = model.fit(*data, batch_size=16, epochs=12, verbose=0, validation_data=data)
    assert history.history["val_accuracy"][-1] > 0.9
    assert history.history["val_loss"][-1] < history.history["val_loss"][0]
    assert model.evaluate(*data, verbose=0, return_dict=True).keys() == {"loss", "accuracy"}
    assert model.predict(data[0], verbose=0).shape == (64, 5)


@pytest.mark.slow
def test_batches_in_any_form_train_alike(model, data):
    images, labels = data
    forms = [
        tf.data.Dataset.from_tensor_slices((images, labels)).batch(16),
        tf.data.Dataset.from_tensor_slices((images, labels[:, None])).batch(16),
        tf.data.Dataset.from_tensor_slices((images, np.eye(5)[labels])).batch(16),
        as_dicts(images, labels),
        as_dicts(images, np.eye(5)[labels]),
    ]
    results = []
    for form in forms:
        fresh = keras.models.clone_model(model.network)
        fresh.set_weights(model.network.get_weights())
        other = type(model)(fresh, num_classes=5, seed=0)
        other.compile(keras.optimizers.SGD(0.05), metrics=["accuracy"])
        fresh.layers[3].rate = 0.0
        history = other.fit(form, epochs=2, verbose=0, validation_data=form, shuffle=False).history
        results.append([*history["loss"], *history["accuracy"], *history["val_accuracy"]])
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=1e-5)


def test_evaluate_counts_every_example_once(model, data):
    images, labels = data
    whole = model.evaluate(images, labels, batch_size=64, verbose=0)
    uneven = model.evaluate(images, labels, batch_size=25, verbose=0)
    logits = model.predict(images, verbose=0).astype(np.float64)
    loss = oracles.cross_entropy(np.eye(5)[labels], logits).mean()
    loss += 1e-3 * np.sum(model.network.get_weights()[0].astype(np.float64) ** 2)
    accuracy = (logits.argmax(axis=1) == labels).mean()
    np.testing.assert_allclose([whole, uneven], [[loss, accuracy]] * 2, rtol=1e-5)


def test_predict_takes_dicts(model, data):
    expected = model.predict(data[0], verbose=0)
    np.testing.assert_allclose(model.predict(as_dicts(*data), verbose=0), expected, rtol=1e-5)


def test_save_and_load(model, data, tmp_path):
    model.fit(*data, batch_size=16, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    # Keras reads a network's tuples back as lists.
    assert {**loaded.get_config(), "network": 0} == {**model.get_config(), "network": 0}
    np.testing.assert_array_equal(
        loaded.predict(data[0], verbose=0), model.predict(data[0], verbose=0)
    )
    for variable, other in zip(loaded.variables, model.variables, strict=True):
        if "seed_generator" not in variable.path:  # Keras does not save Dropout's
            np.testing.assert_array_equal(variable, other)
    assert loaded.evaluate(*data, verbose=0) == model.evaluate(*data, verbose=0)
    loaded.fit(*data, batch_size=16, epochs=1, verbose=0)


def test_config_round_trips_every_hyperparameter(network):
    chosen = dict(
        gamma_p=0.3,
        alpha=0.7,
        burn_in=0.2,
        loss_ema_decay=0.9,
        percentile_interpolation="linear",
        second_reweight=True,
        mentor="mentornet_pd",
        mentornet_checkpoint=str(SHIPPED),
    )
    assert set(chosen) == {field.name for field in methods.hyperparameters_of("mentormix")}
    model = MentorMix(network, num_classes=5, seed=4, name="mine", **chosen)
    copy = MentorMix.from_config(model.get_config())
    assert copy.get_config() == model.get_config()
    assert {name: copy.get_config()[name] for name in chosen} == chosen
    assert (copy.seed, copy.name, copy.second_mentor.gamma_p) == (4, "mine", 0.3)


def test_keras_callbacks_work(model, data, tmp_path):
    callbacks = [
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="val_accuracy"),
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=1, restore_best_weights=True),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.TerminateOnNaN(),
    ]
    model.fit(*data, epochs=2, verbose=0, validation_data=data, callbacks=callbacks)
    assert (tmp_path / "best.keras").exists()
    assert "val_accuracy" in (tmp_path / "log.csv").read_text()


def test_an_unbuilt_network_is_built_by_its_first_batch(data):
    network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(5)])
    model = MentorMix(network, num_classes=5)
    model.compile("sgd", metrics=["accuracy"])
    model.fit(*data, verbose=0)
    assert network.built and len(network.weights) == 2


def test_regularization_counts_once(data):
    flat = [keras.layers.Input((6, 6, 1)), keras.layers.Flatten()]
    regularized = keras.layers.Dense(5, kernel_regularizer=keras.regularizers.L2(0.1))
    network = keras.Sequential([*flat, regularized])
    model = Vanilla(network, num_classes=5)
    model.compile(keras.optimizers.SGD(0.0))
    kernel = network.get_weights()[0].astype(np.float64)
    logs = model.fit(*data, batch_size=16, verbose=0).history
    logits = data[0].reshape(64, -1).astype(np.float64) @ kernel
    expected = oracles.cross_entropy(np.eye(5)[data[1]], logits).mean() + 0.1 * (kernel**2).sum()
    np.testing.assert_allclose(logs["loss"][0], expected, rtol=1e-5)
    np.testing.assert_allclose(model.evaluate(*data, verbose=0), expected, rtol=1e-5)


def test_same_seed_same_weights(network, data):
    def train(seed):
        keras.utils.set_random_seed(2)
        copy = keras.models.clone_model(network)
        model = MentorMix(copy, num_classes=5, seed=seed, gamma_p=0.5, alpha=1.0, burn_in=0.0)
        model.compile(keras.optimizers.SGD(0.1))
        model.fit(*data, batch_size=16, epochs=3, verbose=0)
        return np.concatenate([w.ravel() for w in copy.get_weights()])

    np.testing.assert_array_equal(train(0), train(0))
    assert not np.allclose(train(0), train(1))


def test_learns_in_float16(data):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network = keras.Sequential([keras.layers.Input((6, 6, 1)), keras.layers.Flatten()])
        network.add(keras.layers.Dense(5))
        model = MentorMix(network, num_classes=5, gamma_p=0.9, alpha=1.0)
        model.compile(keras.optimizers.SGD(0.05), metrics=["accuracy"])
        model.fit(*data, batch_size=16, epochs=40, verbose=0)
        assert model.evaluate(*data, verbose=0)[1] > 0.9
    finally:
        keras.config.set_dtype_policy("float32")


def test_ready_before_the_first_fit(network, tmp_path):
    MentorMix(network, num_classes=5).save_weights(tmp_path / "start.weights.h5")
    model = MentorMix(keras.models.clone_model(network), num_classes=5)
    model.load_weights(tmp_path / "start.weights.h5")
    np.testing.assert_array_equal(model.network.get_weights()[0], network.get_weights()[0])


class TestBadInput:
    def test_no_labels(self, model, data):
        with pytest.raises(InputError, match="A batch needs images and labels"):
            model.fit(tf.data.Dataset.from_tensor_slices({"picture": data[0]}).batch(8), verbose=0)

    def test_bad_validation_labels(self, model, data):
        with pytest.raises(InputError, match="Labels run from"):
            model.fit(*data, validation_data=(data[0], data[1] + 1), verbose=0)
        with pytest.raises(InputError, match="must be integers, or one-hot"):
            model.fit(data[0], data[1].astype(str), verbose=0)

    def test_network_with_several_outputs(self):
        images = keras.layers.Input((6,))
        network = keras.Model(images, {"a": keras.layers.Dense(5)(images)})
        model = MentorMix(network, num_classes=5)
        model.compile("sgd")
        with pytest.raises(InputError, match="needs logits"):
            model.fit(np.zeros((8, 6)), np.zeros(8), verbose=0)

    def test_labels_out_of_range(self, model, data):
        with pytest.raises(InputError, match=r"Labels run from 1 to 5, .* in \[0, 5\)"):
            model.fit(data[0], data[1] + 1, verbose=0)
        with pytest.raises(InputError, match="6 columns"):
            model.fit(data[0], np.eye(6)[data[1]], verbose=0)

    @pytest.mark.slow
    @pytest.mark.parametrize("label", [-1, 5])
    def test_labels_out_of_range_in_a_data_set(self, model, data, label):
        bad = as_dicts(data[0], np.where(np.arange(64) == 3, label, data[1]))
        before = [weight.numpy() for weight in model.trainable_weights]
        for use in (model.fit, model.evaluate):
            with pytest.raises(InputError, match="Labels must be integers from 0 to num_classes"):
                use(bad, verbose=0)
        assert all(map(np.array_equal, before, model.trainable_weights))
        model.compile("sgd", jit_compile=True)  # which drops assertions
        with pytest.warns(UserWarning, match="The loss is NaN in epoch 1: .* 5 classes"):
            model.fit(bad, verbose=0)

    def test_network_with_other_classes(self, network):
        with pytest.raises(InputError, match="num_classes=10 needs logits"):
            MentorMix(network, num_classes=10)

    def test_unbuilt_network_with_other_classes(self, data):
        model = MentorMix(keras.Sequential([keras.layers.Flatten()]), num_classes=5)
        model.compile("sgd")
        with pytest.raises(InputError, match="num_classes=5 needs logits"):
            model.fit(*data, verbose=0)

    def test_network_that_ends_in_softmax(self):
        layers = [keras.layers.Input((6,)), keras.layers.Dense(5, activation="softmax")]
        with pytest.raises(InputError, match="softmax"):
            MentorMix(keras.Sequential(layers), num_classes=5)

    def test_loss_belongs_to_the_method(self, network, data):
        model = MentorMix(network, num_classes=5)
        model.compile("sgd", loss="categorical_crossentropy")
        with pytest.raises(InputError, match="without loss"):
            model.fit(*data, verbose=0)

    def test_sample_weights(self, model, data):
        with pytest.raises(InputError, match="weights"):
            model.fit(*data, sample_weight=np.ones(64), verbose=0)

    def test_hyperparameter_of_another_method(self):
        with pytest.raises(InputError, match="gamma_p can't be set: vanilla has no"):
            methods.resolve("vanilla", {"gamma_p": 0.5})
        with pytest.raises(InputError, match="q can't be set: mentormix has"):
            methods.resolve("mentormix", {"q": 0.5})

    def test_unknown_method(self):
        with pytest.raises(InputError, match=r"method=mentormax is unknown: .*mentormix"):
            methods.get("mentormax")

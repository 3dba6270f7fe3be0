"""What `fit` takes, and what it refuses instead of training wrongly."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError, MentorMix, Vanilla

pytestmark = pytest.mark.filterwarnings("ignore:Your input ran out of data")


def compiled(network, method=MentorMix, **arguments):
    model = method(network, num_classes=5, **arguments)
    model.compile("sgd")
    return model


def dicts(data, **columns):
    images, labels = data
    columns = {"image": images, "label": labels, **columns}
    return tf.data.Dataset.from_tensor_slices(columns).batch(16)


@pytest.mark.parametrize("name", ["weight", "sample_weight"])
def test_weights_of_examples_are_refused_in_training(network, data, name):
    model, ones = compiled(network), np.ones(64, np.float32)
    with pytest.raises(InputError, match="A batch has the weights of examples: remove them"):
        model.fit(dicts(data, **{name: ones}), verbose=0)


def test_evaluation_takes_weights_by_one_name(network, data):
    model, halves = compiled(network), np.repeat([0.0, 1.0], 32).astype(np.float32)
    loss = model.evaluate(dicts(data, weight=halves), verbose=0)
    half = model.evaluate(data[0][32:], data[1][32:], verbose=0)
    assert float(loss) == pytest.approx(float(half), rel=1e-5)
    with pytest.raises(InputError, match="call them weight for evaluation"):
        model.evaluate(dicts(data, sample_weight=halves), verbose=0)


def test_class_weights_are_refused_in_every_form_of_data(network, data):
    for arguments in ((dicts(data),), data):
        with pytest.raises(InputError, match="Sample and class weights can't be used"):
            compiled(network).fit(*arguments, class_weight={0: 2.0}, verbose=0)


def test_images_in_a_dict_and_labels_beside_it(network, data):
    model = compiled(network)
    model.fit({"image": data[0]}, data[1], verbose=0)
    with_dict = model.evaluate({"image": data[0]}, data[1], verbose=0)
    assert float(with_dict) == pytest.approx(float(model.evaluate(*data, verbose=0)))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_other_columns_are_not_read(network, data, jit_compile):
    model = compiled(network)
    model.compile("sgd", jit_compile=jit_compile)
    ids = np.arange(64).astype(str)
    history = model.fit(dicts(data, id=ids, is_clean=data[1] > 0), verbose=0)
    assert {"mean_v_clean", "mean_v_wrong"} <= history.history.keys()
    model.evaluate(dicts(data, id=ids), verbose=0)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.float32, np.uint64])
def test_class_numbers_of_any_type(network, data, dtype):
    compiled(network).fit(data[0], data[1].astype(dtype), verbose=0)


@pytest.mark.parametrize("policy", ["float64", "bfloat16", "mixed_bfloat16"])
def test_regularizers_in_every_precision(data, policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        layers = [keras.layers.Flatten(), keras.layers.Dense(5, kernel_regularizer="l2")]
        model = compiled(keras.Sequential([keras.Input((6, 6, 1)), *layers]))
        history = model.fit(*data, verbose=0)
    finally:
        keras.config.set_dtype_policy(before)
    assert np.isfinite(history.history["loss"]).all()


def test_nothing_to_train(network, data):
    network.trainable = False
    with pytest.raises(InputError, match="no trainable weights: unfreeze"):
        compiled(network, Vanilla).fit(*data, verbose=0)


@pytest.mark.parametrize("frozen_at_first", [True, False])
def test_averages_follow_weights_that_are_frozen_and_unfrozen(network, data, frozen_at_first):
    network.layers[0].trainable = not frozen_at_first
    model = compiled(network, Vanilla, ema_decay=0.5)
    model.fit(*data, verbose=0)
    network.layers[0].trainable = frozen_at_first
    model.compile("sgd")
    model.fit(*data, verbose=0)
    network.trainable = True
    learned = [weight.numpy() for weight in network.trainable_weights]
    with model.averaged():
        averaged = [weight.numpy() for weight in network.trainable_weights]
    assert [a.shape for a in averaged] == [w.shape for w in learned]
    assert not any(map(np.array_equal, averaged[:2], learned[:2]))
    assert all(map(np.array_equal, learned, [w.numpy() for w in network.trainable_weights]))


def test_averages_need_a_built_network(data):
    network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(5)])
    with pytest.raises(InputError, match=r"ema_decay=0.5 needs a network that is built"):
        compiled(network, Vanilla, ema_decay=0.5).fit(*data, verbose=0)
    network(data[0])
    model = compiled(network, Vanilla, ema_decay=0.5)
    model.fit(*data, verbose=0)
    assert [a.shape for a in model.weight_average.averages] == [(36, 5), (5,)]


def test_a_list_of_callbacks_of_keras(network, data):
    seen = []
    callback = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: seen.append(1))
    model = compiled(network, burn_in=0.5)
    callbacks = keras.callbacks.CallbackList([callback], add_history=True)
    assert model.fit(*data, callbacks=callbacks, verbose=0).history["loss"]
    assert seen == [1] and int(model.train_steps.numpy()) == 2


def test_burn_in_goes_on_where_a_backup_left_off(network, data, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    model = compiled(network, burn_in=0.5)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data, epochs=4, callbacks=[backup, Stop()], verbose=0)
    again = keras.callbacks.CallbackList([keras.callbacks.BackupAndRestore(tmp_path / "backup")])
    model.fit(*data, epochs=4, callbacks=again, verbose=0)
    assert int(model.step.numpy()) == 8 and int(model.train_steps.numpy()) == 8
    assert float(model.progress()) == 1.0


def test_a_trained_model_can_be_exported(network, data, tmp_path):
    model = compiled(network)
    model.fit(*data, verbose=0)
    model.export(str(tmp_path / "exported"), verbose=False)
    served, expected = tf.saved_model.load(str(tmp_path / "exported")), model.predict(data[0])
    np.testing.assert_allclose(served.serve(data[0]), expected, rtol=1e-4, atol=1e-5)

"""The learned mentor against a float64 oracle, its curriculum, and its checkpoint files."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError
from mentormix_tf.mentors import MENTORS, MentorNetPD, curriculum
from mentormix_tf.mentors.mentornet_pd import SHIPPED, WEIGHTS, read_weights
from tests.support import oracles

NAMES = {f"mentornet/{name}": shape for shape, name in WEIGHTS.values()}


def write_checkpoint(prefix, arrays):
    """Writes a checkpoint in TF1's format."""
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=[tf.constant(array) for array in arrays.values()],
    )
    return str(prefix)


def random_arrays():
    random = np.random.RandomState(0)
    arrays = {
        name: random.normal(0, 0.4, shape).astype(np.float32) for name, shape in NAMES.items()
    }
    arrays["global_step"] = np.int64(75000)
    arrays["mentornet/Variable/Adam"] = arrays["mentornet/Variable"]
    return arrays


@pytest.fixture
def checkpoint(tmp_path):
    return write_checkpoint(tmp_path / "mentornet_pd", random_arrays())


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("progress, stage", [(0.0, 0), (0.29, 29), (0.7999, 79), (1.0, 99)])
def test_checkpoint_against_oracle(checkpoint, progress, stage, jit_compile):
    mentor = MentorNetPD(0.5, checkpoint=checkpoint)
    weigh = tf.function(mentor.weigh, jit_compile=jit_compile)
    losses = np.concatenate([np.linspace(0, 4.9, 99), [0.0]]).astype(np.float32)
    for gamma in np.float32([0.0, 0.7, 3.0]):
        v = weigh(tf.constant(losses), tf.constant(gamma), tf.constant(progress))
        expected = [
            oracles.mentornet_pd(random_arrays(), loss, loss - gamma, stage) for loss in losses
        ]
        assert np.ptp(expected) > 0.02
        np.testing.assert_allclose(v, expected, atol=1e-5)


def test_output_bias_is_added_to_the_weights(tmp_path):
    # All hidden units are tanh(1): a bias b moves the logit by 20·b·tanh(1), not by b.
    arrays = {name: np.zeros(shape, np.float32) for name, shape in NAMES.items()}
    arrays["mentornet/Variable_1"][:] = 1.0
    arrays["mentornet/Variable_3"][:] = 0.1
    mentor = MentorNetPD(0.5, checkpoint=write_checkpoint(tmp_path / "quirk", arrays))
    v = mentor.weigh(tf.constant([1.0]), 0.5, 0.5)
    np.testing.assert_allclose(v, 1 / (1 + np.exp(-2 * np.tanh(1))), rtol=1e-6)


def test_shipped_weights_agree_with_the_curriculum():
    everything, beside_step, early, ramp, late = curriculum.agreement(read_weights(SHIPPED))
    assert everything["points"] == 1_200_000
    assert sum(part["points"] for part in (beside_step, early, ramp, late)) == 1_200_000
    assert everything["share_within_0.1"] == 1.0
    assert everything["mean_abs_error"] < 0.0005
    for part, largest_error in [(beside_step, 0.01), (early, 0.005), (ramp, 0.05), (late, 0.02)]:
        assert part["largest_error"] < largest_error


def test_shipped_step_lies_where_that_of_the_released_weights_does():
    steps = curriculum.step_positions(read_weights(SHIPPED))
    assert steps.shape == (10, 12)
    assert steps.min() > 0.03 and steps.max() < 0.07


def test_shipped_weights_in_training():
    mentor = MentorNetPD(gamma_p=0.5, loss_ema_decay=0.0, burn_in=0.1)
    losses = tf.constant([0.1, 0.9, 1.0, 1.3, 3.0])
    np.testing.assert_array_equal(mentor(losses, progress=0.05), np.ones(5))
    np.testing.assert_allclose(mentor(losses, progress=0.5), [1, 1, 1, 0, 0], atol=0.01)
    np.testing.assert_allclose(mentor(losses, progress=0.9), [1, 1, 1, 0.7, 0], atol=0.03)
    assert float(mentor.gamma) == 1.0
    assert not mentor.trainable_weights


@pytest.mark.parametrize("jit_compile", [False, True])
def test_inputs_outside_the_training_range_are_clipped(jit_compile):
    mentor = MentorNetPD(0.5)
    weigh = tf.function(mentor.weigh, jit_compile=jit_compile)
    at_edge = mentor.weigh(tf.constant([30.0]), 25.0, 0.3)
    far = weigh(tf.constant([31.0, 1e30]), tf.constant(1.0), tf.constant(0.3))
    np.testing.assert_allclose(far, [at_edge[0]] * 2, rtol=1e-5)
    trusted = weigh(tf.constant([0.5]), tf.constant(1e30), tf.constant(0.3))
    np.testing.assert_allclose(trusted, [1.0], atol=1e-3)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_losses_that_are_not_finite_get_weight_nan(jit_compile):
    mentor = MentorNetPD(0.5)
    weigh = tf.function(mentor.weigh, jit_compile=jit_compile)
    losses = tf.constant([0.5, np.nan, np.inf, 3.0])
    v = weigh(losses, tf.constant(1.0), tf.constant(0.3))
    np.testing.assert_array_equal(np.isnan(v), [False, True, True, False])
    for gamma in (np.nan, np.inf):
        v = weigh(tf.constant([0.5, 3.0]), tf.constant(gamma, tf.float32), tf.constant(0.3))
        assert np.isnan(v).all()


def test_saved_without_its_checkpoint(checkpoint, tmp_path):
    mentor = MentorNetPD(0.5, 0.0, "lower", burn_in=0.2, checkpoint=checkpoint)
    config = mentor.get_config()
    assert MentorNetPD.from_config(config).get_config() == config
    losses = keras.Input(shape=())
    model = keras.Model(losses, mentor(losses, progress=0.5))
    expected = model.predict(np.array([0.5, 1.0, 2.0]), verbose=0)
    shipped = MentorNetPD(0.5, 0.0)(tf.constant([0.5, 1.0, 2.0]), progress=0.5)
    assert np.abs(expected - shipped).max() > 0.1

    model.save(tmp_path / "model.keras")
    for file in tmp_path.glob("mentornet_pd.*"):
        file.unlink()
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(np.array([0.5, 1.0, 2.0]), verbose=0), expected)


def test_by_name():
    assert MENTORS["mentornet_pd"](gamma_p=0.6, checkpoint="").gamma_p == 0.6


def test_no_checkpoint(tmp_path):
    (tmp_path / "garbage.npz").write_text("garbage")
    (tmp_path / "empty.npz").touch()
    for name in ("none", "none.npz", "garbage.npz", "empty.npz", "."):
        with pytest.raises(InputError, match=f"{name} can't be read: give an .npz file, or"):
            MentorNetPD(0.5, checkpoint=str(tmp_path / name))


def test_a_checkpoint_by_its_path_its_index_or_its_folder(checkpoint, tmp_path, monkeypatch):
    expected = read_weights(checkpoint)
    monkeypatch.chdir(tmp_path)
    for path in (f"{checkpoint}.index", str(tmp_path), f"{tmp_path}/", ".", "mentornet_pd"):
        found = read_weights(path)
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)
        config = MentorNetPD(0.5, checkpoint=path).get_config()
        assert MentorNetPD.from_config(config).checkpoint == path


def test_a_folder_with_two_checkpoints(checkpoint, tmp_path):
    arrays = {name: 2 * array for name, array in random_arrays().items()}
    write_checkpoint(tmp_path / "second", arrays)
    with pytest.raises(InputError, match="which must have no other"):
        read_weights(tmp_path)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "second"\n')
    kernel = read_weights(tmp_path)["hidden_kernel"]
    np.testing.assert_array_equal(kernel, arrays["mentornet/Variable"])


def test_damaged_checkpoint(checkpoint, tmp_path):
    (tmp_path / "mentornet_pd.data-00000-of-00001").write_bytes(b"short")
    with pytest.raises(InputError, match="mentornet_pd can't be read"):
        MentorNetPD(0.5, checkpoint=checkpoint)


def test_checkpoint_of_another_network(tmp_path):
    arrays = random_arrays()
    del arrays["mentornet/epoch_embedding"]
    prefix = write_checkpoint(tmp_path / "other", arrays)
    with pytest.raises(InputError, match="no variable mentornet/epoch_embedding: give one of Ment"):
        MentorNetPD(0.5, checkpoint=prefix)


@pytest.mark.parametrize("array", [np.zeros((2, 2), np.float32), np.zeros((3, 5), np.float64)])
def test_checkpoint_of_other_sizes(tmp_path, array):
    # google/mentornet's own networks have labels in 2 x 2 numbers.
    arrays = {**random_arrays(), "mentornet/label_embedding": array}
    prefix = write_checkpoint(tmp_path / "other", arrays)
    with pytest.raises(InputError, match=r"label_embedding as float.* is float32 \(3, 5\)"):
        MentorNetPD(0.5, checkpoint=prefix)

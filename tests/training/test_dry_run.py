"""Dry runs: their findings against a real run, and that they leave no files."""

import numpy as np
import pytest
import tensorflow as tf

from mentormix_tf import InputError
from mentormix_tf.config import DataConfig, OutputConfig, RoundsConfig, RunConfig, TrainingConfig
from mentormix_tf.runs.defaults import resolve
from mentormix_tf.training import dry_run
from mentormix_tf.training.checkpoints import Checkpoints
from mentormix_tf.training.run import Setup


@pytest.mark.slow
def test_what_is_found(tmp_path, data_dir):
    config = RunConfig(
        DataConfig(data_dir=data_dir, validation_fraction=0.2),
        TrainingConfig(train_steps=20, eval_every=10, ema_decay=0.9),
        method="vanilla",
        rounds=RoundsConfig("incv"),
    )
    found = dry_run.dry_run(config, OutputConfig(model_dir=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()
    setup = Setup(resolve(config), tf.distribute.get_strategy())
    parameters = [np.prod(weight.shape) for weight in setup.model.network.trainable_weights]
    assert found["parameters"] == sum(parameters) and found["image_shape"] == (8, 8, 1)
    assert found["examples"] == {"train": 1150, "validation": 287, "test": 360}
    assert abs(found["realized_noise_rate"] - 0.4) < 1e-3
    assert (found["steps"], found["evaluations"], found["checkpoints"]) == (20, 2, 4)
    assert (found["rounds"], found["round_steps"]) == (8, 5)
    assert "8 before the run, 40 steps in all, about " in dry_run.describe(found)
    assert found["run_seconds"] > found["first_seconds"] + 19 * found["step_seconds"] > 0
    # One batch each for test, test with averaged weights, and validation; three for the sample.
    assert setup.evaluation().num_batches() == 6
    Checkpoints(setup.model, tmp_path / "saved", 1).save(1, {})
    size = sum(file.stat().st_size for file in (tmp_path / "saved").glob("step-1.*"))
    assert size == pytest.approx(found["checkpoint_bytes"], rel=0.1)


def test_what_would_stop_a_run_stops_it(tmp_path, data_dir):
    data, output = DataConfig(data_dir=data_dir), OutputConfig(model_dir=str(tmp_path))
    for training, message in (
        ({"batch_size": 5000}, "batch_size=5000 is larger than the training data"),
        ({"network": "vgg16"}, "network=vgg16 can't take images of 8x8 pixels"),
        ({"learning_rate": 1e30, "network": "small_cnn"}, "learning_rate=1e.30 is too high"),
    ):
        with pytest.raises(InputError, match=message):
            dry_run.dry_run(RunConfig(data, TrainingConfig(**training)), output)
    (tmp_path / "metrics.csv").write_text("precious")
    with pytest.raises(InputError, match=r"holds another run's metrics.csv"):
        dry_run.dry_run(RunConfig(data), output)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.3, "0 s"), (89, "89 s"), (91, "2 min"), (3599, "1 h 0 min"), (2e5, "2 d 8 h")],
)
def test_human_time(seconds, text):
    assert dry_run.human_time(seconds) == text

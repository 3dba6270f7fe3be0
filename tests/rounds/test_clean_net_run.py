"""Runs whose examples are weighted by a CleanNet."""

import csv

import numpy as np
import pytest

import mentormix_tf as mm
from mentormix_tf import InputError
from mentormix_tf.config import DataConfig, OutputConfig, RoundsConfig, RunConfig, TrainingConfig
from mentormix_tf.data import examples
from mentormix_tf.rounds import run as rounds


def config(data_dir, **data):
    return RunConfig(
        DataConfig(data_dir=data_dir, train_examples=300, **data),
        TrainingConfig(train_steps=8, eval_every=8, batch_size=16),
        "vanilla",
        rounds=RoundsConfig("clean_net", 6, clean_net_references=2, clean_net_steps=20),
    )


def test_verified_labels_have_weight_one_or_zero(data_dir, tmp_path):
    given, path = config(data_dir, verified_fraction=0.3), tmp_path / "run"
    result = rounds.run(given, OutputConfig(str(path)))
    assert result is not None and result["verified_labels"] == 90
    lines = (path / "rounds" / "selected.csv").read_text().splitlines()[1:]
    weights = np.array([float(row["weight"]) for row in csv.DictReader(lines)])
    data = mm.load_split(data_dir=data_dir, train_examples=300, verified_fraction=0.3)
    verified = examples.columns(data, "train", ["verified"])["verified"]
    np.testing.assert_array_equal(weights[verified == 1], 1.0)
    np.testing.assert_array_equal(weights[verified == 0], 0.0)
    with np.load(path / "rounds" / "scores.npz") as stored:
        scores = stored["values"]
    others = verified < 0
    np.testing.assert_allclose(weights[others], np.maximum(scores[others], 0.0), atol=1e-6)
    assert len(np.unique(weights[others])) > 50
    # Killed before its first step, it goes on with the same scores.
    (path / "result.json").unlink()
    (path / "rounds" / "selected.csv").unlink()
    before = (path / "rounds" / "scores.npz").stat().st_mtime_ns
    assert rounds.run(given, OutputConfig(str(path)))
    assert (path / "rounds" / "scores.npz").stat().st_mtime_ns == before


def test_without_verified_labels_it_is_refused_first(data_dir, tmp_path):
    path = tmp_path / "run"
    with pytest.raises(InputError, match="0 are verified as right and 0 as wrong: verify more"):
        rounds.run(config(data_dir), OutputConfig(str(path)))
    assert not path.exists()


def test_scores_that_can_not_be_read(data_dir, tmp_path):
    given, path = config(data_dir, verified_fraction=0.3), tmp_path / "run"
    rounds.run(given, OutputConfig(str(path)))
    (path / "result.json").unlink()
    scores = path / "rounds" / "scores.npz"
    np.savez(scores, values=np.zeros(3))
    with pytest.raises(InputError, match=r"scores.npz can't be read .*it has 3 values for 300"):
        rounds.run(given, OutputConfig(str(path)))
    scores.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"scores.npz can't be read .*: delete it, and it is made"):
        rounds.run(given, OutputConfig(str(path)))

"""A run's folder: files are read back as they were written, and no other run writes to it."""

import csv
import json

import numpy as np
import pytest

from mentormix_tf import InputError, methods
from mentormix_tf.config import RunConfig, TrainingConfig
from mentormix_tf.runs import result, run_folder, saved_run
from mentormix_tf.runs.run_folder import RunFolder

ROWS = [
    {"step": 10, "test_accuracy": 0.75, "validation_accuracy": 0.5, "train_wrong_accuracy": None},
    {"step": 20, "test_accuracy": 0.5, "validation_accuracy": 0.25, "train_wrong_accuracy": 0.125},
]
MODEL = {
    "class_names": ["a", "b"],
    "image_shape": [8, 8, 1],
    "stored_image_shape": [8, 8, 1],
    "augmentation": "none",
    "split_sha256": "abc",
}


@pytest.fixture
def folder(tmp_path):
    config = RunConfig(
        training=TrainingConfig(train_steps=20, eval_every=10),
        hyperparameters=methods.resolve("mentormix", {}),
    )
    return RunFolder(tmp_path / "run", config)


def test_files_are_read_back(folder):
    with folder.held():
        folder.write_model(**MODEL)
        folder.begin()
    assert folder.rows() == [] and folder.result() is None
    folder.write_rows(ROWS)
    written = folder.write_result(ROWS, device="CPU")
    assert folder.result() == written == json.loads((folder.path / "result.json").read_text())
    assert (folder.path / "metrics.csv").read_bytes() == (
        b"step,test_accuracy,validation_accuracy,train_wrong_accuracy\r\n"
        b"10,0.75,0.5,\r\n20,0.5,0.25,0.125\r\n"
    )
    assert [row["step"] for row in folder.rows()] == ["10", "20"]
    run = saved_run.read(folder.path)
    assert run.config == folder.config
    assert (run.model, run.result) == (MODEL, written)
    assert {path.name for path in folder.path.iterdir()} == {
        *("flags.txt", "model.json", "metrics.csv", "result.json"),
    }


def test_a_run_that_begins_again_has_no_result(folder):
    with folder.held():
        folder.begin()
        folder.write_rows(ROWS)
        folder.write_result(ROWS)
        run_folder.write_confusion_matrix(folder.path, np.eye(2, dtype=int), ["a", "b"], b"PNG")
        folder.begin()
    assert {path.name for path in folder.path.iterdir()} == {"flags.txt", "metrics.csv"}


def test_the_confusion_matrix_is_read_back(folder):
    folder.path.mkdir()
    matrix, names = np.array([[1, 2], [3, 4]]), ["a, b", "label"]
    run_folder.write_confusion_matrix(folder.path, matrix, names, b"PNG")
    text = (folder.path / "confusion_matrix.csv").read_bytes().decode()
    assert list(csv.reader(text.split("\r\n"))) == [
        ["label", *names],
        ["a, b", "1", "2"],
        ["label", "3", "4"],
        [],
    ]
    assert (folder.path / "confusion_matrix.png").read_bytes() == b"PNG"


def test_only_one_process_writes(folder):
    busy = pytest.raises(InputError, match="run is being written by another process")
    with folder.held(), busy, folder.held():
        pass
    with folder.held():
        pass


@pytest.mark.parametrize("before", ['{"split_sha256": "other"}', "{"])
def test_other_labels_or_a_damaged_model_are_refused(folder, before):
    folder.path.mkdir()
    (folder.path / "model.json").write_text(before)
    with pytest.raises(InputError, match="holds a run on other labels"):
        folder.write_model(**MODEL)
    assert (folder.path / "model.json").read_text() == before


@pytest.mark.parametrize("began", [True, False])
def test_other_kernels_are_refused(folder, began):
    folder.path.mkdir()
    folder.write_model(**MODEL, onednn=began)
    wanted = f"began with{'' if began else 'out'} oneDNN.*TF_ENABLE_ONEDNN_OPTS={int(began)}"
    with pytest.raises(InputError, match=wanted):
        folder.write_model(**MODEL, onednn=not began)
    for same in (began, None):  # None: another kind of processor, or an older run
        folder.write_model(**MODEL, onednn=same)


def test_a_result_of_fewer_steps_does_not_count(folder):
    folder.path.mkdir()
    folder.write_result(ROWS[:1])
    assert folder.result() is None


def test_what_a_result_summarizes(folder):
    found = result.summarize(folder.config, ROWS, {"device": "CPU"})
    expected = {
        "method": "mentormix",
        "steps": 20,
        "peak_accuracy": 0.75,
        "final_accuracy": 0.5,
        "accuracy_drop": 0.25,
        "final_validation_accuracy": 0.25,
        "best_validation_accuracy": 0.5,
        "best_validation_step": 10,
        "accuracy_at_best_validation": 0.75,
        "final_train_wrong_accuracy": 0.125,
        "device": "CPU",
    }
    assert {name: found[name] for name in expected} == expected
    assert "averaged_peak_accuracy" not in found
    averaged = [{**row, "averaged_test_accuracy": 1 - row["test_accuracy"]} for row in ROWS]
    found = result.summarize(folder.config, averaged, {})
    assert (found["averaged_peak_accuracy"], found["averaged_final_accuracy"]) == (0.5, 0.5)

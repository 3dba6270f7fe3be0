"""Which settings are chosen, from made-up results of trials."""

import csv
import json

import pytest

from mentormix_tf.errors import InputError
from mentormix_tf.studies import study_file, tuning

STUDY = """
data: {dataset: digits, noise: symmetric, noise_level: [0.2, 0.3, 0.4]}
methods: {vanilla: , mentormix: {burn_in: 0.2}}
tune: {levels: [0.2, 0.4], seeds: [1, 2], settings: {mentormix: {alpha: [1, 2, 8]}}}
"""
# For alpha 1, 2 and 8, and each seed; None for a failed trial.
ACCURACIES = {0.2: ((0.5, 0.7), (0.9, 0.3), (0.7, 0.5)), 0.4: ((0.3, 0.3), (0.6, None), (0.4, 0.5))}
CHOSEN = {0.2: 1.0, 0.4: 8.0}  # the first of equals; none with a failed trial


@pytest.fixture
def study(tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY)
    return study_file.read(tmp_path / "study.yaml")


def write_trials(study, folder, accuracies):
    for settings, run in study.trial_runs():
        seed = run.config.training.seed - 1
        accuracy = accuracies[run.point.level][(1, 2, 8).index(settings["alpha"])][seed]
        if accuracy is not None:
            (folder / run.name).mkdir(parents=True)
            result = {"steps": 600, "final_validation_accuracy": accuracy, "peak_accuracy": 1.0}
            (folder / run.name / "result.json").write_text(json.dumps(result))


def test_the_best_on_noisy_validation_is_chosen(study, tmp_path):
    write_trials(study, tmp_path, ACCURACIES)
    tuning.choose(study, tmp_path)
    settings = tuning.chosen(tmp_path)("digits-symmetric", "mentormix")
    assert {level: settings.at(level)["alpha"] for level in CHOSEN} == CHOSEN
    runs = [r for r in study.runs(tuning.chosen(tmp_path)) if r.config.method == "mentormix"]
    used = {run.point.level: run.config.hyperparameters["alpha"] for run in runs}
    assert used == {**CHOSEN, 0.3: 1.0}
    assert {run.config.hyperparameters["burn_in"] for run in runs} == {0.2}
    with (tmp_path / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3 * 2
    assert [row["noisy_validation_accuracy"] for row in rows].count("") == 1


def test_what_was_chosen_stays(study, tmp_path):
    write_trials(study, tmp_path, ACCURACIES)
    tuning.choose(study, tmp_path)
    better = study.trial_runs()[-1][1]
    result = {"steps": 600, "final_validation_accuracy": 0.99}
    (tmp_path / better.name / "result.json").write_text(json.dumps(result))
    tuning.choose(study, tmp_path)
    settings = tuning.chosen(tmp_path)("digits-symmetric", "mentormix")
    assert {level: settings.at(level)["alpha"] for level in CHOSEN} == CHOSEN
    (tmp_path / "chosen.json").write_text("{")
    with pytest.raises(InputError, match=r"chosen\.json is not valid JSON"):
        tuning.chosen(tmp_path)


def test_nothing_was_chosen_where_nothing_was_tried(tmp_path):
    assert tuning.chosen(tmp_path)("digits-symmetric", "mentormix").at(0.2) == {}


def test_all_trials_failed(study, tmp_path):
    write_trials(study, tmp_path, {**ACCURACIES, 0.4: ((None, None),) * 3})
    with pytest.raises(
        InputError, match=r"mentormix has a failed trial at level 0.4 of digits-symmetric"
    ):
        tuning.choose(study, tmp_path)

"""Runs with rounds before them, stopped at every border between two of them."""

import csv
import dataclasses
import json
import shutil
from typing import get_args

import numpy as np
import pytest

import mentormix_tf as mm
from mentormix_tf import InputError
from mentormix_tf.config import (
    DataConfig,
    OutputConfig,
    RoundsConfig,
    RunConfig,
    TrainingConfig,
    codec,
)
from mentormix_tf.data import examples
from mentormix_tf.rounds import rounds_folder
from mentormix_tf.rounds import run as rounds
from mentormix_tf.rounds.rounds_folder import RoundsFolder
from mentormix_tf.training import run as training

METHODS = {"confusion": "s_model"}
NOT_COMPARED = ("images_per_second", "git_revision")


def config(data_dir, data=None, *, rounds=None, **changed):
    settings = {"train_steps": 8, "eval_every": 8, "batch_size": 16}
    before = {"rounds": "incv", "round_steps": 6, "incv_iterations": 1}
    return RunConfig(
        data=DataConfig(data_dir=data_dir, train_examples=300, **(data or {})),
        training=TrainingConfig(**settings | changed),
        method="vanilla",
        rounds=RoundsConfig(**before | (rounds or {})),
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data_dir):
    path = tmp_path_factory.mktemp("incv") / "run"
    return path, rounds.run(config(data_dir), OutputConfig(str(path)))


def selected(path):
    first, *lines = (path / "rounds" / "selected.csv").read_text().splitlines()
    return first, list(csv.DictReader(lines))


@pytest.mark.slow
def test_the_result_says_what_the_selection_took_and_found(finished):
    path, result = finished
    assert json.loads((path / "result.json").read_text()) == result
    assert result["rounds"] == "incv" and result["steps"] == 8
    assert result["selection_steps"] == 12 and result["selection_share"] == 12 / 20
    first, rows = selected(path)
    assert first == f"# split_sha256={result['split_sha256']}"
    kept = np.array([row["keep"] == "1" for row in rows])
    assert kept.sum() == result["selected_examples"] and len(kept) == 300
    assert 0 <= result["estimated_noise_rate"] <= 0.9
    assert 0 <= result["selection_precision"] <= 1 >= result["selection_recall"] >= 0


def test_each_round_is_an_ordinary_run(finished):
    path, _ = finished
    for name in ("1a", "1b"):
        opened = mm.open_run(path / "rounds" / name)
        assert opened.result["steps"] == 6 and opened.config.rounds.rounds == "none"
        assert opened.config.data.examples_file == str(path / "rounds" / f"{name}.csv")
        assert opened.evaluate().report["accuracy"] == pytest.approx(
            opened.result["final_accuracy"], abs=1e-6
        )


def test_the_selection_is_what_each_half_says_of_the_other(finished):
    path, _ = finished
    chosen = set()
    columns = mm.open_run(path / "rounds" / "1a").audit("none")
    position = {each: i for i, each in enumerate(columns.ids)}
    for name in ("1a", "1b"):
        with np.load(path / "rounds" / f"{name}.npz") as opinion:
            predicted = opinion["predicted"]
        lines = (path / "rounds" / f"{name}.csv").read_text().splitlines()[1:]
        for row in csv.DictReader(lines):
            i = position[row["id"]]
            if row["keep"] == "0" and predicted[i] == columns.given[i]:
                chosen.add(row["id"])
    assert chosen == {row["id"] for row in selected(path)[1] if row["keep"] == "1"}


def test_a_command_that_is_stopped_at_any_border_goes_on(finished, data_dir, tmp_path, monkeypatch):
    path, result = finished
    given, output = config(data_dir), OutputConfig(str(tmp_path / "run"))

    class Stop(Exception):
        pass

    def stop(*arguments, **named):
        raise Stop

    def stop_before_the_second_round(config, output, strategy, servers):
        if output.model_dir.endswith("1b"):
            raise Stop
        return training.run(config, output, strategy)  # the first is done, and says so

    def stops(module, name, stop=stop):
        with monkeypatch.context() as patched, pytest.raises(Stop):
            patched.setattr(module, name, stop)
            rounds.run(given, output)

    def names():
        return {each.name for each in (tmp_path / "run" / "rounds").iterdir()}

    stops(rounds_folder, "run")  # before the first round
    assert names() == {"flags.txt", "1a.csv"}
    stops(RoundsFolder, "_write_opinion")  # after its training
    assert names() == {"flags.txt", "1a.csv", "1a"}
    stops(rounds_folder, "run", stop_before_the_second_round)
    assert names() == {"flags.txt", "1a.csv", "1a", "1a.npz", "1b.csv"}
    stops(RoundsFolder, "_write_opinion")
    stops(RoundsFolder, "write")  # before the selection is written
    stops(training, "_train")  # before the run itself
    assert names() == {each.name for each in (path / "rounds").iterdir()}
    again = rounds.run(given, output)
    assert again is not None and result is not None
    assert {k: v for k, v in again.items() if k not in NOT_COMPARED} == {
        k: v for k, v in result.items() if k not in NOT_COMPARED
    }
    for name in ("1a.csv", "1b.csv", "selected.csv"):
        ours = (tmp_path / "run" / "rounds" / name).read_bytes()
        assert ours == (path / "rounds" / name).read_bytes()


@pytest.mark.parametrize(
    "kind",
    [
        "confusion",
        pytest.param("curriculum_net", marks=pytest.mark.slow),
        pytest.param("clean_net", marks=pytest.mark.slow),
    ],
)
def test_each_kind_of_rounds_goes_on_where_it_was_stopped(data_dir, tmp_path, monkeypatch, kind):
    settings = {"rounds": kind, "clean_net_references": 2, "clean_net_steps": 10}
    labels = {"verified_fraction": 0.3} if kind == "clean_net" else {}
    given = dataclasses.replace(
        config(data_dir, labels, rounds=settings), method=METHODS.get(kind, "vanilla")
    )
    at_once, output = OutputConfig(str(tmp_path / "at_once")), OutputConfig(str(tmp_path / "run"))
    result = rounds.run(given, at_once)

    class Stop(Exception):
        pass

    def stop(*arguments, **named):
        raise Stop

    borders = [
        (rounds_folder, "run"),  # before the round
        (RoundsFolder, "_write_opinion"),  # after its training
        (RoundsFolder, "computed"),  # before what is made of its opinion
        (RoundsFolder, "write"),  # before the run's examples are written
        (training, "_train"),  # before the run itself
    ]
    for module, name in borders:
        if kind == "confusion" and name in ("computed", "write"):
            continue  # it only needs the opinion
        with monkeypatch.context() as patched, pytest.raises(Stop):
            patched.setattr(module, name, stop)
            rounds.run(given, output)
    again = rounds.run(given, output)
    assert again is not None and result is not None
    assert {k: v for k, v in again.items() if k not in NOT_COMPARED} == {
        k: v for k, v in result.items() if k not in NOT_COMPARED
    }
    for path in (tmp_path / "at_once" / "rounds").glob("*.csv"):
        assert path.read_bytes() == (tmp_path / "run" / "rounds" / path.name).read_bytes()


def test_more_steps_go_on_with_the_same_selection(finished, data_dir, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(finished[0], path)
    before = selected(path)
    longer = config(data_dir, train_steps=16)
    result = rounds.run(longer, OutputConfig(str(path)))
    assert result is not None and result["steps"] == 16 and result["selection_steps"] == 12
    assert selected(path) == before


def test_other_commands_are_refused_and_nothing_is_overwritten(finished, data_dir):
    path, _ = finished
    before = {each: each.stat().st_mtime_ns for each in path.rglob("*") if each.is_file()}
    with pytest.raises(InputError, match="holds a run with incv_iterations=1, but this run has"):
        rounds.run(config(data_dir, rounds={"incv_iterations": 2}), OutputConfig(str(path)))
    with pytest.raises(InputError, match="holds a run with rounds=incv, but this run has rounds"):
        rounds.run(config(data_dir, rounds={"rounds": "none"}), OutputConfig(str(path)))
    assert before == {each: each.stat().st_mtime_ns for each in path.rglob("*") if each.is_file()}


def test_rounds_of_another_command_are_refused(finished, data_dir, tmp_path):
    shutil.copytree(finished[0] / "rounds", tmp_path / "rounds")
    with pytest.raises(InputError, match="holds another run's rounds"):
        rounds.run(config(data_dir, rounds={"rounds": "none"}), OutputConfig(str(tmp_path)))
    with pytest.raises(InputError, match="rounds holds a run with seed=0, but this run has seed=1"):
        rounds.run(config(data_dir, seed=1), OutputConfig(str(tmp_path)))
    assert [each.name for each in tmp_path.iterdir()] == ["rounds"]


def test_an_opinion_that_can_not_be_read(finished, data_dir, tmp_path):
    shutil.copytree(finished[0] / "rounds", tmp_path / "rounds")
    opinion = tmp_path / "rounds" / "1b.npz"
    opinion.write_bytes(opinion.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"1b.npz can't be read .*: delete it, and it is made"):
        rounds.run(config(data_dir), OutputConfig(str(tmp_path)))
    np.savez(opinion, predicted=np.zeros(3), losses=np.zeros(3), steps=6, split_sha256="")
    with pytest.raises(InputError, match=r"1b.npz is of a run on other labels"):
        rounds.run(config(data_dir), OutputConfig(str(tmp_path)))


def test_what_can_not_be_cut_into_halves_is_refused_first(data_dir, tmp_path):
    output = OutputConfig(str(tmp_path / "new"))
    with pytest.raises(InputError, match="batch_size=200 is larger than a half of the 300 train"):
        rounds.run(config(data_dir, batch_size=200), output)
    data = mm.load_split(data_dir=data_dir, train_examples=300)
    only = np.flatnonzero(examples.columns(data, "train", ["label"])["label"] == 3)[1:]
    ids = examples.columns(data, "train", ["id"])["id"][only]
    lines = ["id,keep", *(f"{each.decode()},0" for each in ids)]
    (tmp_path / "weights.csv").write_text("\n".join(lines))
    left_out = {"examples_file": str(tmp_path / "weights.csv")}
    with pytest.raises(InputError, match="into two halves, but class 3 has 1: add some, or leave"):
        rounds.run(config(data_dir, left_out), output)
    assert not (tmp_path / "new").exists()


def test_a_selection_that_is_too_small_says_so(finished, data_dir, tmp_path):
    shutil.copytree(finished[0] / "rounds", tmp_path / "rounds")
    for name in ("1a", "1b"):  # as of networks that agree with nothing
        path = tmp_path / "rounds" / f"{name}.npz"
        with np.load(path) as opinion:
            np.savez(path, **{**opinion, "predicted": np.full(300, 99)})
    with pytest.raises(InputError, match="rounds=incv chose 0 examples, less than batch_size=16"):
        rounds.run(config(data_dir), OutputConfig(str(tmp_path)))


def test_rounds_alone_are_no_run_yet(finished, tmp_path):
    shutil.copytree(finished[0] / "rounds", tmp_path / "rounds")
    with pytest.raises(InputError, match="only rounds so far, go on with train --flagfile="):
        mm.open_run(tmp_path)
    assert mm.open_run(tmp_path / "rounds" / "1a").result["steps"] == 6


def test_each_kind_of_rounds_can_be_named():
    kinds = {field.name: field.kind for field in codec.fields(RoundsConfig)}["rounds"]
    assert set(get_args(kinds)) == {"none", *rounds.KINDS}


def test_a_run_alone_does_not_leave_out_its_rounds(data_dir, tmp_path):
    with pytest.raises(InputError, match="rounds=incv come before the run"):
        training.run(config(data_dir), OutputConfig(str(tmp_path / "new")))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("training", "change", "message"),
    [
        ({}, {"incv_iterations": 0}, r"incv_iterations=0 must lie in \[1, 100\]"),
        ({}, {"round_steps": -1}, r"round_steps=-1 must lie in \[0, 2\*\*31\)"),
        (
            {"steps_per_execution": 2},
            {"round_steps": 3},
            "round_steps=3 must be a multiple of steps_per_execution=2",
        ),
    ],
)
def test_settings_that_make_no_sense(training, change, message):
    with pytest.raises(InputError, match=message):
        RunConfig(training=TrainingConfig(**training), rounds=RoundsConfig(**change))


def test_rounds_take_a_quarter_of_the_steps_by_default():
    def steps(**settings):
        return RunConfig(training=TrainingConfig(**settings)).steps_of_a_round()

    assert steps(train_steps=600) == 150
    assert steps(train_steps=602, eval_every=602) == 150
    assert steps(train_steps=600, steps_per_execution=20, eval_every=100) == 140
    assert steps(train_steps=2, eval_every=1) == 1
